// Package databases turns a TenantDatabase and its Secret into one shared pool of connections. It
// is the only package that knows both Kubernetes and PostgreSQL. A pool lives as long as its
// object and its Secret's content; tenants' steps use the pool there is, and only the
// TenantDatabase's own reconcile looks at the Secret again. Passwords never leave the values of
// package postgres.
package databases

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Pools holds one pool for each TenantDatabase, by its UID, and one for each migrator login.
type Pools struct {
	secrets client.Reader
	options postgres.PoolOptions

	mu      sync.Mutex
	entries map[types.UID]*entry
}

// entry is what is open for one TenantDatabase. Its lock makes one caller connect while the
// others wait, instead of a storm of log-ins when a server comes back.
type entry struct {
	mu        sync.Mutex
	config    postgres.Config
	admin     *postgres.DB
	migrators map[string]*postgres.DB
	// confirming is held while the server is asked who it is, so that one caller asks.
	confirming sync.Mutex
	// confirmed says that the server behind admin was found to be the one it should be.
	confirmed bool
}

// New returns an empty set of pools. Secrets are read through the given reader, which should not
// be a cache: the operator keeps no copy of Secrets that are not its own.
func New(secrets client.Reader, options postgres.PoolOptions) *Pools {
	return &Pools{secrets: secrets, options: options, entries: map[types.UID]*entry{}}
}

// Refresh reads the Secret again and returns a pool that uses what it says now: the one there is,
// or a new one if the Secret's content changed. Errors are faults: SecretNotFound,
// InvalidConnection, or the cause by which the server refuses.
func (p *Pools) Refresh(ctx context.Context, tdb *v1alpha1.TenantDatabase) (*postgres.DB, error) {
	config, err := p.config(ctx, tdb)
	if err != nil {
		return nil, err
	}
	e := p.entry(tdb.UID)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.admin != nil && e.config.Equal(config) {
		return e.admin, nil
	}
	admin, err := postgres.Open(ctx, config, p.options)
	if err != nil {
		return nil, err
	}
	e.close()
	e.config, e.admin, e.confirmed = config, admin, false
	return admin, nil
}

// Confirm says that a pool of Refresh leads to the database that it should lead to: its registry is
// this TenantDatabase's. Before that nobody else gets the pool.
func (p *Pools) Confirm(uid types.UID, db *postgres.DB) {
	e := p.entry(uid)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.confirmed = db != nil && e.admin == db
}

// Refute takes a pool back from the others: the server is not the one that was there before.
func (p *Pools) Refute(uid types.UID) {
	e := p.entry(uid)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.confirmed = false
}

// Get returns the pool on the database that the TenantDatabase has known before. A Secret that
// suddenly leads to another one, or to a copy, must not make tenants anew there, nor drop what only
// has the same name. After a restart of the operator the registry is asked whether it is that one.
func (p *Pools) Get(ctx context.Context, tdb *v1alpha1.TenantDatabase) (*postgres.DB, error) {
	if db := p.confirmed(tdb.UID); db != nil {
		return db, nil
	}
	unknown := fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, notReadyAgain,
		"TenantDatabase %s/%s does not lead to the database that it should lead to, or not yet; see its conditions", tdb.Namespace, tdb.Name)
	if tdb.Status.Identity == nil {
		return nil, unknown
	}
	e := p.entry(tdb.UID)
	e.confirming.Lock()
	defer e.confirming.Unlock()
	if db := p.confirmed(tdb.UID); db != nil {
		return db, nil
	}
	db, err := p.Refresh(ctx, tdb)
	if err != nil {
		return nil, err
	}
	report, err := db.Preflight(ctx)
	if err != nil {
		return nil, err
	}
	if !report.Bootstrapped || report.Marker != tdb.Status.Identity.Marker || report.Moved {
		return nil, unknown
	}
	p.Confirm(tdb.UID, db)
	return db, nil
}

// notReadyAgain is when to ask again for a pool; the TenantDatabase's own word comes by watch.
const notReadyAgain = 15 * time.Second

func (p *Pools) confirmed(uid types.UID) *postgres.DB {
	e := p.entry(uid)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.confirmed {
		return nil
	}
	return e.admin
}

// Migrator returns a pool that logs in as the migrator of a MigrationSet ("namespace/name") and
// makes that login if need be. Its sessions wait for locks and statements as the set says, by SET
// LOCAL in each migration.
func (p *Pools) Migrator(ctx context.Context, tdb *v1alpha1.TenantDatabase, set string) (*postgres.DB, error) {
	for {
		admin, err := p.Get(ctx, tdb)
		if err != nil {
			return nil, err
		}
		if m, current, err := p.migratorBeside(ctx, tdb.UID, admin, set); current || err != nil {
			return m, err
		}
	}
}

// migratorBeside is for the operator's pool that the caller has. It is not current any more where the Secret
// changed since: kept beside the pool on the new server, a migrator's pool on the old one would be used there.
func (p *Pools) migratorBeside(ctx context.Context, uid types.UID, admin *postgres.DB, set string) (m *postgres.DB, current bool, err error) {
	e := p.entry(uid)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.admin != admin || !e.confirmed {
		return nil, false, nil
	}
	if m := e.migrators[set]; m != nil {
		return m, true, nil
	}
	if m, err = p.openMigrator(ctx, admin, set); err != nil {
		return nil, true, err
	}
	e.migrators[set] = m
	return m, true, nil
}

// openMigrator logs in; where the login's password was changed behind our back (another operator
// that was leader for a while) it sets a new one and tries once more.
func (p *Pools) openMigrator(ctx context.Context, admin *postgres.DB, set string) (*postgres.DB, error) {
	options := p.options
	options.ApplicationName, options.Foreign = "tenantry-migrator", true
	for attempt := 1; ; attempt++ {
		config, err := admin.EnsureMigrator(ctx, set)
		if err != nil {
			return nil, err
		}
		db, err := postgres.Open(ctx, config, options)
		if err == nil || attempt == 2 || fault.ReasonOf(err) != string(postgres.AuthenticationFailed) {
			return db, err
		}
		admin.ForgetMigrator(set)
	}
}

// ForgetMigrator closes a migrator's pool, so that the next caller logs in anew.
func (p *Pools) ForgetMigrator(tdb types.UID, set string) {
	e := p.entry(tdb)
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.migrators[set]; m != nil {
		delete(e.migrators, set)
		go m.Close()
	}
	if e.admin != nil {
		e.admin.ForgetMigrator(set)
	}
}

// Forget closes what is open for a TenantDatabase that is gone.
func (p *Pools) Forget(uid types.UID) {
	p.mu.Lock()
	e := p.entries[uid]
	delete(p.entries, uid)
	p.mu.Unlock()
	if e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.close()
	}
}

// Close ends all pools.
func (p *Pools) Close() {
	p.mu.Lock()
	uids := make([]types.UID, 0, len(p.entries))
	for uid := range p.entries {
		uids = append(uids, uid)
	}
	p.mu.Unlock()
	for _, uid := range uids {
		p.Forget(uid)
	}
}

func (p *Pools) entry(uid types.UID) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[uid]
	if e == nil {
		e = &entry{migrators: map[string]*postgres.DB{}}
		p.entries[uid] = e
	}
	return e
}

// close ends the pools without waiting for the steps that still use them.
func (e *entry) close() {
	if e.admin != nil {
		go e.admin.Close()
	}
	for _, m := range e.migrators {
		go m.Close()
	}
	e.admin, e.migrators, e.confirmed = nil, map[string]*postgres.DB{}, false
}

func (p *Pools) config(ctx context.Context, tdb *v1alpha1.TenantDatabase) (postgres.Config, error) {
	name := tdb.Spec.ConnectionSecretRef.Name
	var secret corev1.Secret
	err := p.secrets.Get(ctx, client.ObjectKey{Namespace: tdb.Namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return postgres.Config{}, fault.NewWaiting(v1alpha1.ReasonSecretNotFound, 0,
			"spec.connectionSecretRef: Secret %q does not exist in namespace %q; create it with a key uri, or with host, port, dbname, username and password", name, tdb.Namespace)
	}
	if err != nil {
		return postgres.Config{}, fmt.Errorf("read Secret %s/%s: %w", tdb.Namespace, name, err)
	}
	config, err := postgres.ConfigFromKeys(secret.Data)
	if err != nil {
		return postgres.Config{}, fault.NewInvalid(v1alpha1.ReasonInvalidConnection, "Secret %q: %s", name, fault.Of(err, "").Message)
	}
	return config, nil
}
