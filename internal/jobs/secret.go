package jobs

import (
	"fmt"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Keys of a Job's Secret, which are names of variables: of the one tenant, or of a batch.
var (
	singleKeys = []string{"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGOPTIONS", "PGSSLMODE", "DATABASE_URL"}
	batchKeys  = []string{"TENANTRY_TENANTS"}
)

// secretOf holds the logins of a Job; it goes with the Job.
func secretOf(job *batchv1.Job, logins []postgres.JobLogin) *corev1.Secret {
	data := map[string][]byte{}
	if needsOne(job) {
		for key, value := range variables(logins[0]) {
			data[key] = []byte(value)
		}
	} else {
		data[batchKeys[0]] = []byte(lines(logins))
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{ownerOf(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Type: corev1.SecretTypeOpaque, Data: data,
	}
}

// needsOne says whether the Job's program reads one tenant's variables.
func needsOne(job *batchv1.Job) bool {
	for _, c := range job.Spec.Template.Spec.Containers {
		for _, v := range c.Env {
			if v.Name == batchKeys[0] {
				return false
			}
		}
	}
	return true
}

// variables of libpq, and an URL. The session is the owner's by the login's own settings; PGOPTIONS and
// the URL pin the search_path besides.
func variables(login postgres.JobLogin) map[string]string {
	c := login.Config
	mode := c.SSLMode()
	if mode == "" {
		mode = "prefer" // libpq's own default
	}
	if c.CA() != "" && strings.HasPrefix(mode, "verify-") {
		mode = "require" // The authority is in no file of the Pod, as in the tenant's own URI.
	}
	return map[string]string{
		"PGHOST": c.Host(), "PGPORT": strconv.Itoa(int(c.Port())), "PGDATABASE": c.Database(), "PGUSER": c.User(), "PGPASSWORD": c.Password(),
		"PGOPTIONS": "-c search_path=" + strings.Join(login.Path, ","), "PGSSLMODE": mode, "DATABASE_URL": c.URI(login.Path...),
	}
}

// lines has one for each tenant of a batch. Nothing in it holds a space.
func lines(logins []postgres.JobLogin) string {
	var text strings.Builder
	for _, l := range logins {
		fmt.Fprintf(&text, "%s %s/%s %s\n", l.Schema, l.Namespace, l.Name, l.Config.URI(l.Path...))
	}
	return text.String()
}
