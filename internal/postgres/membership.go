package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// WithNewSessions runs do, and once more on new sessions of the pool where that lacked a right. A session keeps
// the list of the roles that it may become, and a grant that comes while the server makes the list is not in it:
// until somebody's membership changes again, SET ROLE is refused there, and every new session may do it.
func WithNewSessions[T any](pool *pgxpool.Pool, do func() (T, error)) (T, error) {
	result, err := do()
	if err != nil && CauseOf(err) == InsufficientPrivilege {
		pool.Reset()
		return do()
	}
	return result, err
}
