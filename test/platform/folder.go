package platform

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
)

// account is a user of this machine.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged returns the account for servers that refuse root, or nil if this process is not root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses root, and there is neither a user postgres nor nobody to run it as")
}

// mayEnter says whether any user may enter the folder and all those above it.
func mayEnter(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// tempRoot is the folder for temporary folders: one that an unprivileged server can enter.
func tempRoot(account *account) (string, error) {
	if account == nil {
		return os.TempDir(), nil
	}
	for _, dir := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if mayEnter(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("user %s may enter no temporary folder; set TMPDIR to one", account.name)
}

// folderPrefix begins the names of all temporary folders; ownerFile holds who made one.
const (
	folderPrefix = "tenantry-"
	ownerFile    = "owner"
)

var sweepOnce sync.Once

// newFolder makes a temporary folder that the account alone may read (this user, if nil) and that
// belongs to this process.
func newFolder(kind string, account *account) (string, error) {
	root, err := tempRoot(account)
	if err != nil {
		return "", err
	}
	sweepOnce.Do(func() { sweep(root) })
	dir, err := os.MkdirTemp(root, folderPrefix+kind+"-")
	if err != nil {
		return "", err
	}
	err = own(dir)
	if err == nil && account != nil {
		err = os.Chown(dir, int(account.uid), int(account.gid))
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// own records that a folder belongs to this process.
func own(dir string) error {
	self, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	return self.write(filepath.Join(dir, ownerFile))
}

// sweep removes the folders of processes that were killed before they could do it themselves.
// Folders of living processes, and those without an owner (detached servers'), stay. It is a
// courtesy: what cannot be removed, such as another user's folder, stays too.
func sweep(root string) {
	dirs, err := filepath.Glob(filepath.Join(root, folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		owner, err := readIdentity(filepath.Join(dir, ownerFile))
		if err == nil && owner.PID != 0 && !owner.alive() {
			_ = os.RemoveAll(dir)
		}
	}
}
