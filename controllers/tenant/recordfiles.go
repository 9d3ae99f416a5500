package tenant

import (
	"context"
	"errors"

	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// record keeps what each file was when a schema of this database first got it, so that a change of
// it is found before any other tenant is touched.
func (r *Reconciler) record(ctx context.Context, s *scope, set *migrations.Set, versions []migrations.Version) error {
	var files []postgres.AppliedFile
	for _, v := range versions {
		m, ok := set.At(v)
		if !ok || m.Repeatable {
			continue
		}
		if _, known := r.recorded.Load(fileKey(s, v, m.Checksum)); !known {
			files = append(files, postgres.AppliedFile{Version: string(v), Name: m.File, Checksum: m.Checksum})
		}
	}
	if len(files) == 0 {
		return nil
	}
	if _, err := s.db.RecordFiles(ctx, s.wanted.MigrationSet, files); err != nil {
		return err
	}
	for _, f := range files {
		r.recorded.Store(fileKey(s, migrations.Version(f.Version), f.Checksum), true)
	}
	return nil
}

func fileKey(s *scope, version migrations.Version, checksum string) recordKey {
	return recordKey{s.tdb.UID, s.db.ServerStarted().UnixMicro(), s.wanted.MigrationSet, version, checksum}
}

// recordPart tells the registry how far a schema came that did not come to its target, or that was found above
// it: an earlier pass may have ended before it recorded what it did. The login is to be proved anew, as it was not
// looked at behind what was applied.
func (r *Reconciler) recordPart(ctx context.Context, s *scope, set *migrations.Set, result migrations.Result, err error) error {
	_, above := errors.AsType[*migrations.Downgrade](err)
	digest := partDigest(set, result.To)
	unborn := s.version == "" && s.digest == "" // It is to come to its first version, whatever the rollout is at.
	if _, known := set.At(result.To); !known || !result.Read || !result.Fits && !above || unborn && !above || string(result.To) == s.version {
		return nil
	}
	if _, err := s.db.Record(ctx, s.wanted.UID, s.wanted.Schema, string(result.To), digest, ""); err != nil {
		return err
	}
	s.version, s.digest = string(result.To), digest
	r.checked.Delete(s.tenant.UID)
	return nil
}

// partDigest is that of the set's files up to a version that a schema has, "" where nobody knows whether it has them
// all: a repeatable migration comes behind the versions, and may be what failed. Then the ledger is asked.
func partDigest(set *migrations.Set, version migrations.Version) string {
	if upto := set.Upto(version); upto != nil && !set.Repeats() {
		return upto.Digest
	}
	return ""
}

// known are the versions whose files the schema has: all up to the target, or up to where a failure
// left it, since an earlier pass may have ended before it recorded what it applied; none where the ledger
// says that other files were.
func known(set *migrations.Set, target migrations.Version, result migrations.Result, err error) []migrations.Version {
	if err != nil && !result.Fits {
		return nil
	}
	if err != nil {
		target = result.To
	}
	var versions []migrations.Version
	for i := range set.Migrations {
		if v := set.Migrations[i].Version; v.Compare(target) <= 0 {
			versions = append(versions, v)
		}
	}
	return versions
}
