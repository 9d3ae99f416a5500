package conditions

import (
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// A pass on what the cache had before our own last write is known as such, until the cache is there.
func TestUnseen(t *testing.T) {
	object := func(uid types.UID, version string) *v1alpha1.Tenant {
		return &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: uid, ResourceVersion: version}}
	}
	synctest.Test(t, func(t *testing.T) {
		var w written
		w.note(object("a", "99"))
		w.note(object("a", "100"))
		for name, tt := range map[string]struct {
			read *v1alpha1.Tenant
			want bool
		}{
			"before both writes":  {object("a", "98"), true},
			"between the writes":  {object("a", "99"), true},
			"our own last write":  {object("a", "100"), false},
			"somebody's after it": {object("a", "101"), false},
			"another object":      {object("b", "1"), false},
			"no number":           {object("a", "x"), false},
		} {
			if got := w.unseen(tt.read); got != tt.want {
				t.Errorf("%s: unseen is %v, want %v", name, got, tt.want)
			}
		}
		<-time.After(2 * cacheLag)
		synctest.Wait()
		if w.unseen(object("a", "98")) {
			t.Error("it is remembered for ever")
		}
	})
}
