package postgres

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ident quotes a name for SQL text. Names that PostgreSQL would cut or that hold a NUL, which the
// quoting drops, must have been refused before.
func ident(names ...string) string { return pgx.Identifier(names).Sanitize() }

// idents quotes a list of names.
func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = ident(n)
	}
	return strings.Join(quoted, ", ")
}

// literal quotes a text for statements that take no parameters. It is used for settings and
// verifiers, which hold no backslash and are checked before.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func joinStatements(statements []string) string { return strings.Join(statements, ";\n") }

// pause waits before another try, longer and less predictably with each: 5 to 10 ms at first.
func pause(ctx context.Context, attempt int) error {
	base := 5 * time.Millisecond << min(attempt, 6) / 2
	timer := time.NewTimer(base + rand.N(base)) // #nosec G404 -- no secret hangs on a delay
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
