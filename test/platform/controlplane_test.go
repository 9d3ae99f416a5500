package platform

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func startControlPlane(t *testing.T, opts ...ControlPlaneOption) *ControlPlane {
	t.Helper()
	c, err := StartControlPlane(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func clientset(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": "b"}}
}

func TestControlPlaneAuthorizesCountsAndRestarts(t *testing.T) {
	ctx := t.Context()
	plane := startControlPlane(t, WithAuditLog())
	admin := clientset(t, plane.Config).CoreV1().ConfigMaps("default")

	stranger, err := plane.User("stranger")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clientset(t, stranger).CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger's error = %v, want Forbidden", err)
	}

	mark, err := plane.AuditMark()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Create(ctx, configMap("counted"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Get(ctx, "counted", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]AuditEvent{{
		User: "tenantry-admin", Groups: []string{"system:masters", "system:authenticated"}, Verb: "create", Resource: "configmaps", Namespace: "default", Name: "counted", Code: 201,
	}}, eventsOf(t, plane, mark, "tenantry-admin")); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}

	if err := plane.HaltAPIServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Get(ctx, "counted", metav1.GetOptions{}); err == nil {
		t.Error("a halted API server answers")
	}
	if err := plane.ResumeAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Get(ctx, "counted", metav1.GetOptions{}); err != nil {
		t.Errorf("after the restart an old client fails: %v", err)
	}

	if err := plane.Stop(); err != nil {
		t.Fatal(err)
	}
	if !gone(plane.Folder) || !processGone(t, plane.Folder) {
		t.Error("Stop left a folder or a process")
	}
}

// eventsOf returns a user's writes; the agent, which holds versions, is left out.
func eventsOf(t *testing.T, plane *ControlPlane, mark int64, user string) (mine []AuditEvent) {
	t.Helper()
	events, err := plane.AuditEvents(mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if event.User == user {
			event.UserAgent = ""
			mine = append(mine, event)
		}
	}
	return mine
}

func TestControllersWork(t *testing.T) {
	ctx := t.Context()
	plane := startControlPlane(t, WithControllerManager())
	admin := clientset(t, plane.Config)

	owner, err := admin.CoreV1().ConfigMaps("default").Create(ctx, configMap("owner"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := configMap("owned")
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	if _, err := admin.CoreV1().ConfigMaps("default").Create(ctx, owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := admin.CoreV1().ConfigMaps("default").Delete(ctx, "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the garbage collector deletes what was owned", func() bool {
		_, err := admin.CoreV1().ConfigMaps("default").Get(ctx, "owned", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})

	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "passing"}}
	if _, err := admin.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the service account's login works", func() bool {
		config, err := plane.ServiceAccount(ctx, "passing", "default")
		if err != nil {
			return false
		}
		_, err = clientset(t, config).CoreV1().Secrets("passing").List(ctx, metav1.ListOptions{})
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "system:serviceaccount:passing:default")
	})
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "work"}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "work", Image: "work"}}},
	}}}
	if _, err := admin.BatchV1().Jobs("passing").Create(ctx, job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the job gets a pod", func() bool {
		pods, err := admin.CoreV1().Pods("passing").List(ctx, metav1.ListOptions{LabelSelector: "job-name=work"})
		return err == nil && len(pods.Items) == 1
	})
	if err := admin.CoreV1().Namespaces().Delete(ctx, "passing", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, "the namespace goes", func() bool {
		_, err := admin.CoreV1().Namespaces().Get(ctx, "passing", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestControlPlaneDetached(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	first := startControlPlane(t, ControlPlaneDetached(dir))
	if _, err := clientset(t, first.Config).CoreV1().ConfigMaps("default").Create(ctx, configMap("kept"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	again := startControlPlane(t, ControlPlaneDetached(dir))
	if again.etcd.identity != first.etcd.identity || again.apiServer.identity != first.apiServer.identity {
		t.Error("a second start made other servers")
	}
	for _, proc := range []*process{first.etcd, first.apiServer} {
		if err := syscall.Kill(proc.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, "the server dies", func() bool { return !proc.running() })
	}
	mended := startControlPlane(t, ControlPlaneDetached(dir), WithControllerManager())
	if _, err := clientset(t, first.Config).CoreV1().ConfigMaps("default").Get(ctx, "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("the mended control plane lost its data or its keys: %v", err)
	}
	if err := mended.Stop(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 || !processGone(t, dir) {
		t.Errorf("Stop left %v (%v)", left, err)
	}
}

func TestControlPlaneErrorQuotesTheLog(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver"} {
		script := "#!/bin/sh\necho 'cannot serve: out of luck' >&2\nexit 3\n"
		if err := os.WriteFile(filepath.Join(assets, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	_, err := StartControlPlane(context.WithoutCancel(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "etcd ended while starting") {
		t.Errorf("error = %v, want etcd's last words", err)
	}
}
