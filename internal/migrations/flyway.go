package migrations

import (
	"regexp"
	"strings"
)

var flywayPlaceholder = regexp.MustCompile(`\$\{[^}\n]*\}`)

// flywayConf reads a script's .conf file, if it has one, and refuses placeholders: their values come
// from Flyway's own configuration.
func flywayConf(s source, conf []byte) (outside bool, err error) {
	replace := true
	for i, line := range strings.Split(string(conf), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		value = strings.ToLower(strings.TrimSpace(value))
		switch key = strings.TrimSpace(key); key {
		case "executeInTransaction":
			outside = value == "false"
		case "placeholderReplacement":
			replace = value != "false"
		case "encoding":
			if value != "utf-8" && value != "utf8" {
				return false, invalid(s.file+".conf", i+1, "only UTF-8 is supported; save the file in UTF-8")
			}
		default:
			return false, invalid(s.file+".conf", i+1, "%s is not supported; remove it", key)
		}
	}
	if at := flywayPlaceholder.FindStringIndex(s.text); at != nil && replace {
		return false, s.invalid(at[0], "the placeholder %s has no value here; write the value itself", s.text[at[0]:at[1]])
	}
	return outside, nil
}
