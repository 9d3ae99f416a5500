package kubelet

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxMessage is how much of a log a kubelet takes as a container's last words (80 lines or 2,048 bytes).
const maxMessage = 2048

// pod runs the first container of a Pod to its end.
func (k *Kubelet) pod(ctx context.Context, pod *corev1.Pod) {
	env, err := k.environment(ctx, pod)
	for err != nil && ctx.Err() == nil {
		k.report(ctx, pod, corev1.PodPending, corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: err.Error()},
		})
		pause(ctx, 200*time.Millisecond)
		env, err = k.environment(ctx, pod)
	}
	if ctx.Err() != nil {
		return
	}
	began := metav1.Now()
	k.mu.Lock()
	k.started = append(k.started, pod.Name)
	k.mu.Unlock()
	k.report(ctx, pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}})
	code, words := k.run(ctx, pod, env)
	end := &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: began, FinishedAt: metav1.Now(), Reason: "Completed"}
	phase := corev1.PodSucceeded
	if code != 0 {
		phase, end.Reason, end.Message = corev1.PodFailed, "Error", words
	}
	// A Pod that was deleted is told of, too, if it is still there.
	k.report(context.WithoutCancel(ctx), pod, phase, corev1.ContainerState{Terminated: end})
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// run runs the program in a process group of its own, which ends with the Pod, and at the latest with this
// process.
func (k *Kubelet) run(ctx context.Context, pod *corev1.Pod, env []string) (code int32, words string) {
	c := pod.Spec.Containers[0]
	args := append(append([]string(nil), c.Command...), c.Args...)
	if len(args) == 0 {
		return 128, "no command: there are no images here"
	}
	for i := range args {
		args[i] = expand(args[i], env)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = k.dir, env, &out, &out, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// The death signal comes with the end of the thread that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	_ = os.WriteFile(filepath.Join(k.dir, pod.Name+".log"), out.Bytes(), 0o600)
	text := out.Bytes()
	words = string(text[max(0, len(text)-maxMessage):])
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() < 0 {
			return 137, words
		}
		return int32(exit.ExitCode()), words
	}
	if err != nil {
		return 128, err.Error()
	}
	return 0, words
}

// report writes the Pod's status.
func (k *Kubelet) report(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	before := pod.DeepCopy()
	pod.Status.Phase = phase
	if pod.Status.StartTime == nil {
		pod.Status.StartTime = new(metav1.Now())
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, State: state, Ready: state.Running != nil,
	}}
	_ = k.client.Status().Patch(ctx, pod, client.MergeFrom(before))
}
