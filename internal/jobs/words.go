package jobs

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxWords bounds what is shown of a program's last words, in bytes.
const maxWords = 400

// Failure says in words why a Job failed: its own reason, and the Pod that ended last with its exit code
// and, where quote says so, its last words: those of a Job for several tenants may quote another one's rows. Pods that
// nobody may list leave them out.
func (k *Keeper) Failure(ctx context.Context, job *batchv1.Job, quote bool) string {
	text := fmt.Sprintf("Job %s/%s failed", job.Namespace, job.Name)
	if reason := why(job); reason != "" {
		text += " (" + reason + ")"
	}
	pods := k.pods(ctx, job)
	for _, pod := range slices.Backward(pods) {
		for _, s := range pod.Status.ContainerStatuses {
			if end := s.State.Terminated; end != nil && end.ExitCode != 0 {
				words := fmt.Sprintf(" (kubectl logs -n %s %s)", pod.Namespace, pod.Name)
				if quote {
					words = ": " + Words(cmp.Or(end.Message, end.Reason))
				}
				return fmt.Sprintf("%s; Pod %s ended with code %d%s", text, pod.Name, end.ExitCode, words)
			}
		}
	}
	if waits := waiting(pods); waits != "" {
		return text + "; " + waits
	}
	return text
}

// Stuck says in words that a Job is overdue, which of its Pods does not end, and what to do.
func (k *Keeper) Stuck(ctx context.Context, job *batchv1.Job) string {
	text := fmt.Sprintf("Job %s/%s has not ended %.0f minutes after its deadline", job.Namespace, job.Name, Grace.Minutes())
	pods := k.pods(ctx, job)
	if i := slices.IndexFunc(pods, func(pod corev1.Pod) bool {
		return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
	}); i >= 0 {
		text += fmt.Sprintf(": Pod %s on node %s does not end", pods[i].Name, cmp.Or(pods[i].Spec.NodeName, "(none)"))
	}
	return fmt.Sprintf("%s. See the node; if it is gone, delete what is left there by force (kubectl delete pod -n %s -l %s=%s --force). No other Job begins before",
		text, job.Namespace, batchv1.JobNameLabel, job.Name)
}

// Progress says what a Job that runs is at: that its Pod cannot start is seen nowhere else.
func (k *Keeper) Progress(ctx context.Context, job *batchv1.Job) string {
	if waits := waiting(k.pods(ctx, job)); waits != "" {
		return "; " + waits
	}
	if job.Status.Failed > 0 {
		return fmt.Sprintf("; its program failed %d times and is started again", job.Status.Failed)
	}
	return ""
}

// pods of a Job, the oldest first. An error leaves the words out, not the verdict.
func (k *Keeper) pods(ctx context.Context, job *batchv1.Job) []corev1.Pod {
	var list corev1.PodList
	if err := k.Live.List(ctx, &list, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		return nil
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items
}

// waiting finds a Pod that waits for more than its turn.
func waiting(pods []corev1.Pod) string {
	for _, pod := range pods {
		for _, s := range pod.Status.ContainerStatuses {
			if w := s.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
				return fmt.Sprintf("Pod %s waits: %s: %s", pod.Name, w.Reason, Words(w.Message))
			}
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return fmt.Sprintf("Pod %s waits: %s: %s", pod.Name, c.Reason, Words(c.Message))
			}
		}
	}
	return ""
}

// A password in an URL, or behind a word that says so.
var secretParts = regexp.MustCompile(`(?i)(://[^:@/\s]*:)[^@\s]*(@)|((?:password|passwd|pwd|secret|token)[\w-]*["']?\s*[=:]\s*)\S+`)

// Words makes of a program's output what may stand in a status: one line, its end, without what looks
// like a password. The one of the Job's own login is worth nothing by the time that it is shown.
func Words(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = secretParts.ReplaceAllString(text, "$1$3***$2")
	if len(text) > maxWords {
		text = "..." + strings.ToValidUTF8(text[len(text)-maxWords:], "")
	}
	return text
}
