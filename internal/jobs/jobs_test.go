package jobs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func set() *v1alpha1.MigrationSet {
	return &v1alpha1.MigrationSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "set"},
		Spec: v1alpha1.MigrationSetSpec{Job: &v1alpha1.MigrationJob{
			Framework: v1alpha1.FrameworkDjango, Version: "v1", Expect: []string{"a.1", "b.2"},
			Template: v1alpha1.JobTemplate{Image: "img", Args: []string{"migrate"}, Env: []v1alpha1.JobVariable{{Name: "A", Value: new("$(PGHOST)")}}},
		}},
	}
}

// What changes the schema is another digest; how it runs is not.
func TestDigest(t *testing.T) {
	before := Digest(set().Spec.Job)
	for name, tt := range map[string]struct {
		change func(*v1alpha1.MigrationJob)
		same   bool
	}{
		"version":        {func(j *v1alpha1.MigrationJob) { j.Version = "v2" }, false},
		"framework":      {func(j *v1alpha1.MigrationJob) { j.Framework = v1alpha1.FrameworkAlembic }, false},
		"expectation":    {func(j *v1alpha1.MigrationJob) { j.Expect = []string{"a.1"} }, false},
		"image":          {func(j *v1alpha1.MigrationJob) { j.Template.Image = "other" }, false},
		"args":           {func(j *v1alpha1.MigrationJob) { j.Template.Args = nil }, false},
		"env":            {func(j *v1alpha1.MigrationJob) { j.Template.Env[0].Value = new("b") }, false},
		"order of these": {func(j *v1alpha1.MigrationJob) { j.Expect = []string{"b.2", "a.1"} }, true},
		"deadline":       {func(j *v1alpha1.MigrationJob) { j.ActiveDeadlineSeconds = 7 }, true},
		"batch":          {func(j *v1alpha1.MigrationJob) { j.BatchSize = 7 }, true},
		"node":           {func(j *v1alpha1.MigrationJob) { j.Template.NodeSelector = map[string]string{"a": "b"} }, true},
	} {
		after := set().Spec.Job
		if tt.change(after); (Digest(after) == before) != tt.same {
			t.Errorf("%s: same digest is %v, want %v", name, !tt.same, tt.same)
		}
	}
}

func TestNames(t *testing.T) {
	ms := set()
	if Name(ms, "d", []string{"a", "b"}) != Name(ms, "d", []string{"b", "a"}) {
		t.Error("the order of tenants changes the name")
	}
	seen := map[string]bool{}
	for _, name := range []string{Name(ms, "d", []string{"a"}), Name(ms, "e", []string{"a"}), Name(ms, "d", []string{"b"}), Name(ms, "d", []string{"a", "b"})} {
		if seen[name] {
			t.Errorf("%s is twice", name)
		}
		seen[name] = true
	}
	ms.Name = strings.Repeat("long-", 50)
	if name := Name(ms, "d", []string{"a"}); len(name) > 63 || strings.Contains(name, "--") {
		t.Errorf("%q is no name for a Job", name)
	}
}

// A Job has the password by reference alone, and the product's variables behind the operator's.
func TestBuild(t *testing.T) {
	w := Wish{Set: set(), Database: "db", Members: []Member{{UID: "u1", Namespace: "ns", Name: "acme", Schema: "acme", Work: "w"}}}
	job := w.Build()
	pod := job.Spec.Template.Spec
	var names []string
	for _, v := range pod.Containers[0].Env {
		names = append(names, v.Name)
	}
	want := []string{"TENANTRY_VERSION", "TENANTRY_SCHEMA", "TENANTRY_TENANT", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGOPTIONS", "PGSSLMODE", "DATABASE_URL", "A"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if *pod.AutomountServiceAccountToken || !*pod.SecurityContext.RunAsNonRoot || *pod.Containers[0].SecurityContext.AllowPrivilegeEscalation {
		t.Error("the Pod may more than it should")
	}
	if job.Annotations[AnnotationDatabase] != "db" {
		t.Errorf("the Job says nothing of its database: %v", job.Annotations)
	}
	if !*job.Spec.Suspend || *job.Spec.PodReplacementPolicy != batchv1.Failed || Work(job, "u1") != "w" || Target(job) != Digest(w.Set.Spec.Job) || !ownedBy(w.Set)(job) {
		t.Errorf("the Job is not as it should be: %+v", job.Spec)
	}
	w.Set.Spec.Job.BatchSize = 2
	if needsOne(w.Build()) {
		t.Error("a batch of one has one tenant's variables")
	}
}

func job(name string, age time.Duration, condition batchv1.JobConditionType) batchv1.Job {
	j := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e6, 0).Add(-age))}}
	if condition != "" {
		j.Status.Conditions = []batchv1.JobCondition{{Type: condition, Status: corev1.ConditionTrue}}
	}
	return j
}

func TestLatest(t *testing.T) {
	for name, tt := range map[string]struct {
		jobs []batchv1.Job
		want string
	}{
		"none":              {nil, ""},
		"the newest":        {[]batchv1.Job{job("a", 3, batchv1.JobFailed), job("b", 1, batchv1.JobComplete), job("c", 2, batchv1.JobFailed)}, "b"},
		"the one at work":   {[]batchv1.Job{job("a", 3, batchv1.JobFailed), job("b", 9, ""), job("c", 2, batchv1.JobFailed)}, "b"},
		"newest of at work": {[]batchv1.Job{job("a", 3, ""), job("b", 1, "")}, "b"},
	} {
		got := ""
		if latest := Latest(tt.jobs); latest != nil {
			got = latest.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A Job that has not ended long after its deadline is given up, unless it ended after all, or its time begins anew.
func TestOverdue(t *testing.T) {
	start := time.Unix(1e6, 0)
	for name, tt := range map[string]struct {
		is           batchv1.JobConditionType
		after        time.Duration
		change       func(*batchv1.Job)
		atWork, over bool
	}{
		"in time":                     {after: time.Minute, atWork: true},
		"its deadline is over":        {is: batchv1.JobFailureTarget, after: time.Hour + Grace - time.Second, atWork: true},
		"given up":                    {is: batchv1.JobFailureTarget, after: time.Hour + Grace, over: true},
		"ended at last":               {is: batchv1.JobFailed, after: 2 * time.Hour},
		"ended well":                  {is: batchv1.JobComplete, after: 2 * time.Hour},
		"goes":                        {after: time.Minute, change: leaves},
		"goes, and does not end":      {after: 2 * time.Hour, change: leaves, over: true},
		"suspended":                   {after: 2 * time.Hour, atWork: true, change: func(j *batchv1.Job) { j.Spec.Suspend = new(true) }},
		"goes on behind a suspension": {is: batchv1.JobSuspended, after: 2 * time.Hour, atWork: true},
		"has not begun":               {after: 2 * time.Hour, atWork: true, change: func(j *batchv1.Job) { j.Status.StartTime = nil }},
		"without a deadline":          {after: 2 * time.Hour, atWork: true, change: func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = nil }},
	} {
		j := job("a", 0, tt.is)
		j.Spec.ActiveDeadlineSeconds, j.Status.StartTime = new(int64(3600)), &metav1.Time{Time: start}
		if tt.change != nil {
			tt.change(&j)
		}
		now := start.Add(tt.after)
		if got := Overdue(&j, now); got != tt.over {
			t.Errorf("%s: overdue is %v", name, got)
		}
		if got := AtWork(&j, now); got != tt.atWork {
			t.Errorf("%s: at work is %v", name, got)
		}
	}
}

func leaves(j *batchv1.Job) { j.DeletionTimestamp = &metav1.Time{Time: time.Unix(1e6, 0)} }

// Nothing in a program's last words that looks like a password comes into a status.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"  a\n\tb ":                            "a b",
		"postgresql://u:hunter2@db:5432/x bad": "postgresql://u:***@db:5432/x bad",
		"password=hunter2 and more":            "password=*** and more",
		`{"password": "hunter2"}`:              `{"password": ***`,
		"PGPASSWORD=hunter2":                   "PGPASSWORD=***",
		"SECRET_KEY=hunter2":                   "SECRET_KEY=***",
	} {
		if got := Words(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := Words(strings.Repeat("x", 5000) + "end"); len(got) > maxWords+3 || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-3:])
	}
}

func TestGatherer(t *testing.T) {
	g, now := &Gatherer{}, time.Unix(1e6, 0)
	join := func(key string, n int, size int) ([]Member, time.Duration) {
		return g.Join(key, Member{UID: fmt.Sprint(n)}, size, now)
	}
	for n := range 2 {
		if batch, wait := join("a", n, 3); batch != nil || wait != window {
			t.Fatalf("tenant %d gets %v, and waits %s", n, batch, wait)
		}
	}
	if batch, _ := join("b", 7, 3); batch != nil {
		t.Error("a tenant of another database joins")
	}
	if batch, _ := join("a", 0, 3); batch != nil {
		t.Error("a tenant counts twice")
	}
	if batch, _ := join("a", 2, 3); len(batch) != 3 {
		t.Fatalf("the third makes a batch of %d", len(batch))
	}
	if batch, wait := join("a", 1, 3); batch != nil || wait <= 0 {
		t.Error("who was handed out joins again before its Job is seen")
	}
	g.Seen("1")
	if batch, _ := join("a", 1, 3); batch != nil {
		t.Error("a batch of one is handed out before its time")
	}
	g.Leave("7")
	now = now.Add(window)
	if batch, _ := join("b", 8, 3); batch != nil {
		t.Error("a batch whose tenant left goes on")
	}
	if batch, _ := join("a", 9, 3); len(batch) != 2 {
		t.Errorf("after its time a batch of %d is handed out, want 2", len(batch))
	}
}
