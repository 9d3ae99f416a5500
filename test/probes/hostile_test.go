package probes

import (
	"os"
	"strings"
)

// inFull names a variable of the environment. With it every text is tried at every place, and SQL on
// each server; without it each text at some places and each place with some texts, on the newest
// server, as `make test` has not the time for all.
const inFull = "TENANTRY_PROBES_IN_FULL"

// oneIn is how many of the combinations are tried when not all are.
const oneIn = 6

func isFull() bool { return os.Getenv(inFull) != "" }

// sample returns the texts for a place, by its number.
func sample(texts []string, place int) (some []string) {
	for i, text := range texts {
		if isFull() || (i+place)%oneIn == 0 {
			some = append(some, text)
		}
	}
	return some
}

// hostile are texts that somebody might put where a name or a value is asked for: what breaks out of
// quotes, what another language would run, what is cut, folded or shown as something else.
var hostile = []string{
	// Nothing, and what looks like it.
	"", " ", "\t", "\u00a0", "\u200b", "\ufeff", "null", "~", "none", "default",
	// Quotes of SQL, and statements behind them.
	"'", "''", `"`, `""`, "`", "a'b", `a"b`, `a""b`, "'; DROP TABLE canary; --", `"; DROP TABLE canary; --`, "'); DROP TABLE canary; --",
	`" CASCADE; DROP TABLE canary; --`, `" AUTHORIZATION postgres; DROP TABLE canary; --`, `\'; DROP TABLE canary; --`, `\"; DROP TABLE canary; --`,
	"'||(SELECT pg_sleep(9))||'", "1; COPY canary TO PROGRAM 'id'", "' OR '1'='1", "x' UNION SELECT rolpassword FROM pg_authid --",
	"$$; DROP TABLE canary; $$", "$a$;$a$", "$1", "/*", "*/ DROP TABLE canary /*", "--", ";", `\`, `\\`, `a\`, `E'\x27'`, `U&"\0061"`, "{DROP TABLE canary}",
	// Names that mean something to PostgreSQL or to Tenantry, and near misses.
	"public", "PUBLIC", "tenantry", "pg_catalog", "pg_toast", "information_schema", "postgres", "current_user", "select", "shared", "acme", "ACME", "acme ", " acme",
	"tn_shop__globex_owner", "globex__x", "_", "1a", "a-b", "a.b", "a,b", "acme.item", `acme"."item`,
	// Bytes and characters that are cut, folded, hidden or reversed.
	"\x00", "acme\x00", "acme\x00; DROP TABLE canary", "acme\n", "a\r\nX-Injected: 1", "a\u2028b", "a\u000bb", "\u202eemca", "a\u0300", "\u0430cme", "ａｃｍｅ", "İ", "ſchema", "K", "é", "😀", "\x1b[31mred", "\x7f",
	"\xff\xfe", "a\xc0\xafb",
	strings.Repeat("a", 50), strings.Repeat("a", 51), strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("é", 31), strings.Repeat("é", 32), "a" + strings.Repeat("é", 31), strings.Repeat("a", 253), strings.Repeat("a.", 126) + "a", strings.Repeat("a", 5000),
	// Format verbs, encodings, templates, shells, paths, addresses, markup, patterns.
	"%s%n%d", "%!s(MISSING)", "%", "%00", "%27%3B", "%2e%2e%2f", "+", "a%20b", "{name}", "{namespace}/{name}", "{{ .Values.x }}", "${PATH}", "$(id)", "`id`", "| id", "&& id",
	"..", ".", "/", "../../etc/passwd", "/etc/passwd", `..\..\x`, "file:///etc/passwd", "http://169.254.169.254/latest", "@evil.example", "user:pw@evil.example", "a@b", "#frag", "?a=b", "//evil.example",
	"<script>alert(1)</script>", "&lt;", "*", "*.*", "*.example.com", "[a-z]*", "(a+)+$", "^", "a{2147483647}",
	// YAML, JSON and CEL.
	"*alias", "&anchor", "!!python/object:os.system", "- a: b", "a: b", "true", "1e3", "0x10", "2026-01-01", "|\n  x", `{"a":1}`, `","x":"`, `["a"]`, "self.metadata", "') || true || ('", "has(self.spec)",
}
