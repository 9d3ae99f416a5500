package migrations

import (
	"slices"
	"strings"
)

// class says how a statement may run.
type class int

const (
	// inTransaction statements run in a transaction, with the ledger's row.
	inTransaction class = iota
	// begins and commits are the file's own transaction control.
	begins
	commits
	// session statements change the session for the statements behind them, as SET does. They run in
	// a transaction, and again when a migration is continued on another session.
	session
	// temporary statements make temporary tables, which end with the session.
	temporary
	// opaque statements run code that nobody can see through (DO, CALL): outside of a transaction
	// they may commit by themselves.
	opaque
	// createsIndex, dropsIndex and reindexes are the CONCURRENTLY forms; what a crash left of them
	// can be seen in the catalog.
	createsIndex
	dropsIndex
	reindexes
	// idempotent statements cannot run in a transaction, and may run twice (VACUUM).
	idempotent
	// alone statements cannot run in a transaction, and after a crash nothing shows whether they took
	// effect. When the server refuses one it took none, or says so the next time (DETACH CONCURRENTLY).
	alone
	// batches are opaque statements that commit by themselves: what they did before an error stays.
	batches
)

// outside says that the class cannot run in a transaction.
func (c class) outside() bool { return c >= createsIndex }

// classify finds a statement's class by its first words, as the grammar itself does: they are
// keywords of the lexer, so neither case nor comments nor quotes mislead it. refusal says why a
// statement may not be in a migration, and what to do, or is "".
func classify(s source, p piece) (c class, refusal string) {
	w := words(p.tokens)
	switch w[0] {
	case "begin", "start", "commit", "end", "rollback", "abort", "prepare":
		return transactionControl(w)
	case "set", "reset":
		return setting(s, p, w)
	case "discard":
		return inTransaction, "DISCARD is not needed, every migration starts on a clean session; remove it"
	case "create", "drop", "alter":
		return definition(w)
	case "grant", "revoke":
		if !has(w, "on") {
			return inTransaction, "migrations cannot change who is a member of a role; manage roles outside of migrations"
		}
	case "reassign":
		return inTransaction, "migrations cannot change owners by role; remove it"
	case "copy":
		if has(w, "stdin") || has(w, "stdout") {
			return inTransaction, copyRefusal
		}
	case "do", "call":
		return opaque, ""
	case "declare", "listen", "load":
		return session, ""
	case "vacuum":
		return idempotent, ""
	case "cluster":
		if len(w) == 1 {
			return idempotent, ""
		}
	case "reindex":
		return reindexing(w), ""
	}
	return inTransaction, ""
}

const copyRefusal = "COPY from or to the client has no client here; write INSERT ... VALUES instead"

func transactionControl(w []string) (class, string) {
	switch {
	case w[0] == "prepare" && second(w) != "transaction":
		return session, ""
	case w[0] == "prepare", has(w, "prepared"):
		return inTransaction, "two-phase commit cannot be part of a migration; use BEGIN and COMMIT or neither"
	case (w[0] == "rollback" || w[0] == "abort") && has(w, "to"):
		return inTransaction, ""
	case w[0] == "rollback" || w[0] == "abort":
		return inTransaction, "a migration that takes itself back cannot be recorded; remove ROLLBACK"
	}
	ends := w[0] == "commit" || w[0] == "end"
	if n := len(w); n > 2 || n == 2 && w[1] != "transaction" && w[1] != "work" {
		if ends {
			return inTransaction, "write COMMIT alone"
		}
		return inTransaction, "the transaction's modes are the engine's; write BEGIN alone"
	}
	if ends {
		return commits, ""
	}
	return begins, ""
}

// setting judges SET and RESET. Settings that are local to a transaction, or that end with the
// session, are the migration's own business; who it runs as is not.
func setting(s source, p piece, w []string) (class, string) {
	name := settingAt(w)
	if name >= len(w) {
		return inTransaction, ""
	}
	if p.tokens[name].code == tokenUnicodeIdent {
		return inTransaction, "write the setting's name without Unicode escapes"
	}
	switch identifier(s, p.tokens[name]) {
	case "role", "authorization", "session_authorization", "session":
		return inTransaction, "migrations run as the schema's owner and may not change the role; remove it"
	case "transaction", "characteristics":
		return inTransaction, "the transaction's modes are the engine's; remove it"
	case "constraints":
		return inTransaction, ""
	}
	if w[1] == "local" {
		return inTransaction, ""
	}
	return session, ""
}

// settingAt is where the name of a setting stands.
func settingAt(w []string) int {
	if scope := second(w); scope == "local" || scope == "session" && len(w) > 2 && w[2] != "authorization" {
		return 2
	}
	return 1
}

func settingOf(s source, p piece) string {
	return identifier(s, p.tokens[settingAt(words(p.tokens))])
}

// serverObjects are the kinds of objects that belong to the whole server or database.
var serverObjects = map[string]string{
	"role": "roles", "user": "roles", "group": "roles", "database": "databases", "tablespace": "tablespaces",
	"system": "the server's settings", "subscription": "subscriptions", "owned": "objects by role",
}

func definition(w []string) (class, string) {
	kind := second(w)
	if what, ok := serverObjects[kind]; ok && !(kind == "user" && len(w) > 2 && w[2] == "mapping") {
		return inTransaction, "migrations change one schema and may not touch " + what + "; do that outside of migrations"
	}
	switch {
	case w[0] == "create" && kind == "unique" && len(w) > 3 && w[2] == "index" && w[3] == "concurrently",
		w[0] == "create" && kind == "index" && len(w) > 2 && w[2] == "concurrently":
		return createsIndex, ""
	case w[0] == "drop" && kind == "index" && len(w) > 2 && w[2] == "concurrently":
		return dropsIndex, ""
	case w[0] == "alter" && kind == "table" && has(w, "detach") && has(w, "concurrently"):
		return alone, ""
	case w[0] == "create" && isTemporary(kind), w[0] == "create" && kind == "or" && len(w) > 3 && isTemporary(w[3]):
		return temporary, ""
	}
	return inTransaction, ""
}

func isTemporary(word string) bool {
	return word == "temp" || word == "temporary" || word == "local" || word == "global"
}

func reindexing(w []string) class {
	switch {
	case has(w, "concurrently"):
		return reindexes
	case has(w, "schema"), has(w, "database"), has(w, "system"):
		return idempotent
	}
	return inTransaction
}

// words returns the keywords at the statement's own level, "" for each token that is none.
func words(tokens []token) []string {
	w := make([]string, 0, len(tokens))
	for _, t := range tokens {
		w = append(w, t.word)
	}
	return w
}

func second(w []string) string {
	if len(w) < 2 {
		return ""
	}
	return w[1]
}

func has(w []string, word string) bool {
	return slices.Contains(w, word)
}

// identifier returns a name as PostgreSQL folds it; keywords used as names included.
func identifier(s source, t token) string {
	text := s.text[t.start:t.end]
	if strings.HasPrefix(text, `"`) {
		return strings.ReplaceAll(strings.Trim(text, `"`), `""`, `"`)
	}
	return asciiLower(text)
}

// asciiLower folds as PostgreSQL does in UTF-8: letters beyond ASCII stay as they are.
func asciiLower(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}
