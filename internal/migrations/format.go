package migrations

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tenantry/tenantry/internal/fault"
)

// named is what a file's name says under a format.
type named struct {
	File
	version    Version
	name       string
	repeatable bool
	// ignored files never run: those that migrate down.
	ignored bool
}

var (
	plainName  = regexp.MustCompile(`^([0-9]+)[_-]+(.+)\.sql$`)
	upDownName = regexp.MustCompile(`^([0-9]+)_(.*)\.(up|down)\.sql$`)
	flywayName = regexp.MustCompile(`^(?:([VBU])([0-9]+(?:[._][0-9]+)*)|(R))__(.+)\.sql$`)
	gooseMark  = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*\+goose[ \t]`)
	// foreignMark finds the marks of tools whose files hold both directions; run as plain SQL, they
	// would go up and down again.
	foreignMark = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*(\+migrate[ \t]+(?:Up|Down)|migrate:(?:up|down)|liquibase formatted)`)
	// plainMark finds those of tools whose files are called as plain ones are. In other formats they are prose.
	plainMark = regexp.MustCompile(`(?m)^[ \t]*--[ \t-]*(create above / drop below|(?i:down[ \t]+migration))[ \t-]*$`)
)

// detect finds the one format that fits all files, from names and goose's annotations.
func detect(files []File) (Format, error) {
	var upDown, flyway, goose, plain []string
	for _, f := range files {
		switch {
		case !strings.HasSuffix(f.Name, ".sql"):
		case upDownName.MatchString(f.Name):
			upDown = append(upDown, f.Name)
		case flywayName.MatchString(f.Name):
			flyway = append(flyway, f.Name)
		case gooseMark.Match(f.Content):
			goose = append(goose, f.Name)
		case plainName.MatchString(f.Name):
			plain = append(plain, f.Name)
		default:
			return Auto, invalid(f.Name, 0, "the name fits no format; use 0001_name.sql, 1_name.up.sql (golang-migrate) or V1__name.sql (Flyway)")
		}
	}
	found := Auto
	for _, c := range []struct {
		format Format
		names  []string
	}{{GolangMigrate, upDown}, {Flyway, flyway}, {Goose, goose}, {Plain, plain}} {
		switch {
		case len(c.names) == 0:
		case found != Auto:
			return Auto, invalid(c.names[0], 0, "looks like format %s while other files look like %s; name the format or make all files alike", c.format, found)
		default:
			found = c.format
		}
	}
	return found, nil
}

// readName reads a file's name under a format. A nil result means that the file takes no part.
func readName(f File, format Format) (*named, error) {
	switch {
	case strings.HasSuffix(f.Name, ".go") && plainName.MatchString(strings.TrimSuffix(f.Name, ".go")+".sql"):
		return nil, invalid(f.Name, 0, "migrations in Go do not run here; write it in SQL")
	case !strings.Contains(f.Name, ".sql"):
		return nil, nil
	case strings.HasSuffix(f.Name, ".sql.conf") && format == Flyway:
		return nil, nil
	}
	n := &named{File: f}
	switch format {
	case GolangMigrate:
		m := upDownName.FindStringSubmatch(f.Name)
		if m == nil {
			return nil, invalid(f.Name, 0, "golang-migrate's files are called 1_name.up.sql and 1_name.down.sql; rename it")
		}
		n.version, n.name, n.ignored = normalVersion(m[1], ""), m[2], m[3] == "down"
	case Flyway:
		return flywayFile(n)
	default:
		m := plainName.FindStringSubmatch(f.Name)
		if m == nil {
			return nil, invalid(f.Name, 0, "the file should be called 0001_name.sql; rename it")
		}
		n.version, n.name = normalVersion(m[1], ""), m[2]
	}
	return n, nil
}

func flywayFile(n *named) (*named, error) {
	m := flywayName.FindStringSubmatch(n.Name)
	switch {
	case m == nil:
		return nil, invalid(n.Name, 0, "Flyway's files are called V1_2__name.sql and R__name.sql; rename it")
	case m[1] == "B":
		return nil, invalid(n.Name, 0, "Flyway's baseline migrations are not supported; name it V...__name.sql")
	case m[3] == "R":
		n.version, n.repeatable = Version(repeatablePrefix+m[4]), true
	default:
		n.version, n.ignored = normalVersion(m[2], "._"), m[1] == "U"
	}
	n.name = m[4]
	return n, nil
}

// pairs refuses two files of one version, and a down file without its up file.
func pairs(files []*named) error {
	up := map[Version]*named{}
	for _, f := range files {
		if f.ignored {
			continue
		}
		if other, twice := up[f.version.key()]; twice {
			return invalid(f.Name, 0, "has the same version (%s) as %s; give one of them another", f.version, other.Name)
		}
		up[f.version.key()] = f
	}
	for _, f := range files {
		if f.ignored && up[f.version.key()] == nil {
			return invalid(f.Name, 0, "there is no file that migrates up to version %s; add it or remove this one", f.version)
		}
	}
	return nil
}

// body returns the text of a file that runs, the text its checksum is taken over, and whether the
// file itself asks to run without a transaction.
func body(f *named, format Format, conf map[string][]byte) (s source, hashed string, outside bool, err error) {
	text, err := decode(f.File, format)
	if err != nil {
		return source{}, "", false, err
	}
	s = source{file: f.Name, text: text}
	at := foreignMark.FindStringSubmatchIndex(text)
	if at == nil && format == Plain {
		at = plainMark.FindStringSubmatchIndex(text)
	}
	if at != nil {
		return s, "", false, s.invalid(at[2], "-- %s belongs to a tool whose files hold both directions; keep the part that migrates up alone", text[at[2]:at[3]])
	}
	switch format {
	case Goose:
		return gooseBody(s)
	case Flyway:
		outside, err = flywayConf(s, conf[f.Name+".conf"])
	default:
		if at := gooseMark.FindStringIndex(text); at != nil {
			err = s.invalid(at[0], "goose's annotations mean nothing in format %s; declare the format Goose", format)
		}
	}
	return s, text, outside, err
}

// decode checks a file's bytes and makes its line ends \n. An empty file is most likely a mistake,
// except where a tool makes it so and real products ship it.
func decode(f File, format Format) (string, error) {
	content := bytes.TrimPrefix(f.Content, []byte("\xef\xbb\xbf"))
	if fault := checkBytes(f.Name, content); fault != nil {
		return "", fault
	}
	if len(bytes.TrimSpace(content)) == 0 && format != GolangMigrate {
		return "", invalid(f.Name, 0, "is empty; write at least a comment that says why")
	}
	return strings.ReplaceAll(string(content), "\r\n", "\n"), nil
}

func checkBytes(name string, content []byte) *fault.Fault {
	if len(content) > MaxFileBytes {
		return invalid(name, 0, "is %d bytes long; the limit is %d, split it", len(content), MaxFileBytes)
	}
	for at := 0; at < len(content); {
		r, size := utf8.DecodeRune(content[at:])
		if size == 1 && r == utf8.RuneError || r == 0 {
			return invalid(name, 1+bytes.Count(content[:at], []byte("\n")), "is not UTF-8 text; save it in UTF-8")
		}
		at += size
	}
	return nil
}
