package probes

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// search returns the forms in which a text has a secret, in itself or in the hex dumps that it has.
func search(text, secret string) (found []string) {
	forms, dumped := formsOf(secret), undump(text)
	for _, form := range sortedKeys(forms) {
		if strings.Contains(text, forms[form]) {
			found = append(found, form)
		}
		if strings.Contains(dumped, forms[form]) {
			found = append(found, form+" in a hex dump")
		}
	}
	return found
}

// formsOf are the ways in which programs write a text. Base64 of something that a secret is a part of
// has three forms, by where in a group of three bytes it begins; its first and last characters depend
// on what stands beside it and are left out.
func formsOf(secret string) map[string]string {
	quoted, err := json.Marshal(secret)
	if err != nil {
		panic(err) // no text fails
	}
	var percent strings.Builder
	for i := range len(secret) {
		_, _ = fmt.Fprintf(&percent, "%%%02X", secret[i])
	}
	forms := map[string]string{
		"raw": secret, "JSON": unquote(string(quoted)), "Go": unquote(strconv.Quote(secret)), "SQL": strings.ReplaceAll(secret, "'", "''"),
		"SQL with backslashes": strings.ReplaceAll(strings.ReplaceAll(secret, `\`, `\\`), "'", "''"),
		"JSON in JSON":         unquote(strconv.Quote(unquote(string(quoted)))),
		"URL query":            url.QueryEscape(secret), "URL path": url.PathEscape(secret), "URL": strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
		"percent": percent.String(), "percent, lower case": strings.ToLower(percent.String()),
		"hex": hex.EncodeToString([]byte(secret)), "hex, upper case": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"numbers": numbers(secret, " "), "numbers with commas": numbers(secret, ","),
	}
	for shift := range 3 {
		padded := strings.Repeat("\x00", shift) + secret
		whole := base64.StdEncoding.EncodeToString([]byte(padded[:len(padded)/3*3]))
		from := (shift*8 + 5) / 6
		forms[fmt.Sprintf("base64, %d behind", shift)] = whole[from:]
		forms[fmt.Sprintf("base64 for URLs, %d behind", shift)] = strings.NewReplacer("+", "-", "/", "_").Replace(whole[from:])
	}
	return forms
}

// numbers are a text's bytes, as Go prints them and as PostgreSQL shows constants.
func numbers(text, between string) string {
	var all []string
	for i := range len(text) {
		all = append(all, strconv.Itoa(int(text[i])))
	}
	return strings.Join(all, between)
}

func unquote(text string) string { return text[1 : len(text)-1] }

// dump is a line of encoding/hex.Dump, as logs of requests have it; between two of them stand line
// breaks, or their escapes.
var dump = regexp.MustCompile(`[0-9a-f]{8}  ((?:[0-9a-f]{2} {1,2}){1,16}) *\|`)

// undump puts the bytes of all such lines together.
func undump(text string) string {
	var all strings.Builder
	for _, line := range dump.FindAllStringSubmatch(text, -1) {
		bytes, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
		if err == nil {
			all.Write(bytes)
		}
	}
	return all.String()
}

// The search finds a secret in whatever form it stands, wherever it begins, in the middle of whatever.
func TestSearchFinds(t *testing.T) {
	for _, secret := range []string{bait, operatorsCanary, "OJ4XBV2WGRQ5J6KLM7NPYAZ3CD"} {
		for before := range 17 {
			text := strings.Repeat("x", before) + secret + "tail"
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			twice, err := json.Marshal(string(quoted))
			if err != nil {
				t.Fatal(err)
			}
			for name, hidden := range map[string]string{
				"raw": text, "JSON": string(quoted), "JSON in JSON": string(twice), "Go": strconv.Quote(text), "base64": base64.StdEncoding.EncodeToString([]byte(text)),
				"base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(text)), "URL query": url.QueryEscape(text), "URL path": url.PathEscape(text),
				"hex": hex.EncodeToString([]byte(text)), "hex dump": hex.Dump([]byte(text)), "hex dump in JSON": strconv.Quote(hex.Dump([]byte(text))),
				"numbers": numbers(text, " "), "SQL": "'" + strings.ReplaceAll(text, "'", "''") + "'",
				"a Secret in JSON": `{"data":{"password":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}}`,
			} {
				if len(search("some log: "+hidden+" and more", secret)) == 0 {
					t.Errorf("%s of %q, %d behind, is not found", name, secret, before)
				}
			}
		}
		if found := search(strings.Repeat("nothing of it ", 1000), secret); len(found) > 0 {
			t.Errorf("%q is found where it is not: %v", secret, found)
		}
	}
}
