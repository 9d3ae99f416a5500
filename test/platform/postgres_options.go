package platform

import (
	"fmt"
	"os"
	"strconv"
)

// PostgresOption changes how StartPostgres starts a server.
type PostgresOption func(*postgresConfig)

type postgresConfig struct {
	major    int
	settings []string
	detached string
}

// PostgresMajor asks for a major version instead of the default, or of $TENANTRY_POSTGRES_MAJOR.
func PostgresMajor(major int) PostgresOption {
	return func(c *postgresConfig) { c.major = major }
}

// PostgresSetting sets a server setting, such as log_statement to all. Later ones win, over the
// defaults too: max_connections 200, and fsync on, so that measured times are true.
func PostgresSetting(name, value string) PostgresOption {
	return func(c *postgresConfig) { c.settings = append(c.settings, "-c", name+"="+value) }
}

// PostgresDetached lets the server outlive this process and keeps its record in dir. If a record
// is there already, that server is found again, with its data, and started if it does not run.
func PostgresDetached(dir string) PostgresOption {
	return func(c *postgresConfig) { c.detached = dir }
}

// newPostgresConfig applies the options over the environment over the defaults.
func newPostgresConfig(opts []PostgresOption) (postgresConfig, error) {
	c := postgresConfig{settings: []string{"-c", "max_connections=200"}}
	if text := os.Getenv("TENANTRY_POSTGRES_MAJOR"); text != "" {
		major, err := strconv.Atoi(text)
		if err != nil {
			return c, fmt.Errorf("TENANTRY_POSTGRES_MAJOR=%q is no major version such as 15 or 18", text)
		}
		c.major = major
	}
	for _, opt := range opts {
		opt(&c)
	}
	return c, nil
}
