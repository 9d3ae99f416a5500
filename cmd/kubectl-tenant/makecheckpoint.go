package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// makeCheckpoint is the verb that makes a checkpoint of a MigrationSet from a tenant.
func (sh *shell) makeCheckpoint() *cobra.Command {
	var seeds []string
	program := "pg_dump"
	verb := &cobra.Command{
		Use:   "make-checkpoint TENANT",
		Short: "Write a checkpoint of a tenant's schema, from which new tenants can start",
		Long: `Write a checkpoint to standard output: one file that makes what all migrations up to the tenant's version make. It
is made with pg_dump, which must be of the server's major version or newer, by the tenant's own login. Choose a tenant that
no migration failed on. Rows are left out, but those of the tables that --rows names: name just the tables
that migrations fill and customers do not.

Save the file beside the migrations under the name that is printed. The operator compares it with the migrations before
it uses it.`,
		Example: `  kubectl tenant make-checkpoint reference -n tasklane --rows workflow_states > checkpoint_18.pgsql`,
		Args:    cobra.ExactArgs(1),
		RunE: func(verb *cobra.Command, args []string) error {
			reader, err := sh.reader()
			if err != nil {
				return err
			}
			namespace, _, err := sh.namespace()
			if err != nil {
				return err
			}
			return sh.writeCheckpoint(verb.Context(), reader, client.ObjectKey{Namespace: namespace, Name: args[0]}, program, seeds)
		},
	}
	verb.Flags().StringSliceVar(&seeds, "rows", nil, "tables whose rows come along: those that migrations fill")
	verb.Flags().StringVar(&program, "pg-dump", program, "the program pg_dump")
	return verb
}

func (sh *shell) writeCheckpoint(ctx context.Context, reader client.Reader, name client.ObjectKey, program string, seeds []string) error {
	tenant := &v1alpha1.Tenant{}
	if err := reader.Get(ctx, name, tenant); err != nil {
		return err
	}
	st := &tenant.Status
	if st.Version == "" || st.Binding == nil {
		return fmt.Errorf("Tenant %s has no schema with migrations yet", name) //nolint:staticcheck // Tenant is a kind
	}
	secret := &corev1.Secret{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: name.Namespace, Name: st.Binding.Name}, secret); err != nil {
		return fmt.Errorf("read the tenant's login: %w", err)
	}
	if err := forgetOtherServers(); err != nil {
		return err
	}
	config, err := postgres.ConfigFromKeys(parts(secret.Data))
	if err != nil {
		return err
	}
	text, err := dump(ctx, config, st.Schema, program, seeds)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(sh.Out, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.ErrOut, "A checkpoint of version %s. Save it beside the migrations as checkpoint_%s.pgsql\n", st.Version, st.Version)
	return err
}

// parts are the keys of a tenant's Secret that say where the database is. Its connection strings pin a path,
// which pg_dump and the comparison do not want; just how to encrypt is in them alone.
func parts(secret map[string][]byte) map[string][]byte {
	keys := map[string][]byte{}
	for _, name := range []string{"host", "port", "database", "username", "password", "ca.crt"} {
		keys[name] = secret[name]
	}
	if uri, err := url.Parse(string(secret["uri"])); err == nil {
		keys["sslmode"] = []byte(uri.Query().Get("sslmode"))
	}
	return keys
}

// dump runs pg_dump. The password goes by the environment: arguments can be read by everybody on a machine.
func dump(ctx context.Context, config postgres.Config, schema, program string, seeds []string) (string, error) {
	db, err := postgres.Open(ctx, config, postgres.PoolOptions{ApplicationName: "kubectl-tenant", MaxConns: 1})
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := canDump(ctx, program, db); err != nil {
		return "", err
	}
	args, err := migrations.DumpArguments(ctx, db.Pool(), schema, seeds)
	if err != nil {
		return "", err
	}
	env, remove, err := environment(config)
	if err != nil {
		return "", err
	}
	defer remove()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- the user's own program
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(complaints.String()))
	}
	return migrations.Relocate(out.String(), schema)
}

// forgetOtherServers takes out of the environment what would lead to another database of the user's, such as PGSERVICE:
// both we and pg_dump go by it.
func forgetOtherServers() error {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// environment is libpq's: the way to the database.
func environment(config postgres.Config) (env []string, remove func(), err error) {
	env = append(os.Environ(), "PGHOST="+config.Host(), "PGPORT="+strconv.Itoa(int(config.Port())), "PGUSER="+config.User(),
		"PGPASSWORD="+config.Password(), "PGDATABASE="+config.Database())
	if mode := config.SSLMode(); mode != "" {
		env = append(env, "PGSSLMODE="+mode)
	}
	if config.CA() == "" {
		return env, func() {}, nil
	}
	folder, err := os.MkdirTemp("", "kubectl-tenant-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) }
	ca := filepath.Join(folder, "ca.crt")
	if err := os.WriteFile(ca, []byte(config.CA()), 0o600); err != nil {
		remove()
		return nil, nil, err
	}
	return append(env, "PGSSLROOTCERT="+ca), remove, nil
}
