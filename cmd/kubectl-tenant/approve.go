package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// minDigest is the shortest beginning of a digest that names one.
const minDigest = 12

// approve is the verb that lets a version go to tenants. It is the only one that changes something.
func (sh *shell) approve() *cobra.Command {
	var digest string
	verb := &cobra.Command{
		Use:   "approve migrationset NAME",
		Short: "Show what a waiting version can do, and approve it",
		Long: `Show what a version of a MigrationSet can do that waits for an approval, and approve it by your own name.

The approval is for one state of the files: --digest is that of status.proposed, or its first 12 digits or
more, and if other files wait meanwhile, nothing is approved. Without --digest, the findings are shown and the
version is asked for on the terminal. It needs the right to patch and to approve MigrationSets.

The exit code is 0 if the version was approved, or was before, and 1 if not.`,
		Example: `  kubectl tenant approve migrationset shop -n lab
  kubectl tenant approve migrationset shop -n lab --digest 7733c4526343`,
		Args: cobra.ExactArgs(2),
		RunE: func(verb *cobra.Command, args []string) error {
			if !slices.Contains([]string{"migrationset", "migrationsets", "ms"}, args[0]) {
				return fmt.Errorf("%q cannot be approved; write approve migrationset NAME", args[0])
			}
			c, err := sh.client()
			if err != nil {
				return err
			}
			namespace, _, err := sh.namespace()
			if err != nil {
				return err
			}
			ms := &v1alpha1.MigrationSet{}
			if err := c.Get(verb.Context(), client.ObjectKey{Namespace: namespace, Name: args[1]}, ms); err != nil {
				return err
			}
			return sh.approveSet(verb.Context(), c, ms, digest)
		},
	}
	verb.Flags().StringVar(&digest, "digest", "", "digest of the files that are approved, or its beginning; nothing is asked then")
	return verb
}

func (sh *shell) approveSet(ctx context.Context, c client.Client, ms *v1alpha1.MigrationSet, digest string) error {
	waits := ms.Status.Proposed
	if waits == nil {
		if a := ms.Status.Approval; a != nil && a.Digest == ms.Status.Digest && strings.HasPrefix(a.Digest, digest) {
			_, err := fmt.Fprintf(sh.Out, "Version %s was approved by %s at %s\n", a.Version, a.ApprovedBy, a.ApprovedAt.UTC().Format("2006-01-02 15:04:05Z"))
			return err
		}
		return fmt.Errorf("no version of MigrationSet %s/%s waits for an approval", ms.Namespace, ms.Name)
	}
	printFindings(sh.Out, ms)
	if waits.Approve == "" {
		why := "the operator has not looked at it yet"
		if condition := meta.FindStatusCondition(ms.Status.Conditions, v1alpha1.ConditionApproved); condition != nil {
			why = condition.Message
		}
		return errors.New(why)
	}
	if err := sh.consent(waits, digest); err != nil {
		return err
	}
	who := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, who); err != nil {
		return fmt.Errorf("ask for your user name: %w", err)
	}
	name := who.Status.UserInfo.Username
	base := ms.DeepCopy()
	metav1.SetMetaDataAnnotation(&ms.ObjectMeta, v1alpha1.AnnotationApprove, waits.Approve)
	metav1.SetMetaDataAnnotation(&ms.ObjectMeta, v1alpha1.AnnotationApprovedBy, name)
	if err := c.Patch(ctx, ms, client.MergeFrom(base)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(sh.Out, "\nApproved version %s (%s) as %s\n", waits.Version, waits.Digest[:min(minDigest, len(waits.Digest))], name)
	return err
}

// consent finds out whether the user means the version that waits.
func (sh *shell) consent(waits *v1alpha1.ProposedVersion, digest string) error {
	if digest != "" {
		if len(digest) < minDigest {
			return fmt.Errorf("--digest: %q is too short; give at least %d digits of %s", digest, minDigest, waits.Digest)
		}
		if !strings.HasPrefix(waits.Digest, digest) {
			return fmt.Errorf("--digest: other files wait now: version %s with digest %s. Nothing was approved", waits.Version, waits.Digest)
		}
		return nil
	}
	if _, err := fmt.Fprintf(sh.Out, "\nDigest %s. To approve it, type the version (%s): ", waits.Digest, waits.Version); err != nil {
		return err
	}
	line, err := bufio.NewReader(sh.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != waits.Version {
		return errors.New("nothing was approved; without a terminal, use --digest")
	}
	return nil
}

func printFindings(out io.Writer, ms *v1alpha1.MigrationSet) {
	published := "no version is published"
	if ms.Status.Version != "" {
		published = "tenants are at or on their way to version " + ms.Status.Version
	}
	_, _ = fmt.Fprintf(out, "Version %s of %s/%s waits; %s.\n", ms.Status.Proposed.Version, ms.Namespace, ms.Name, published)
	lint := ms.Status.Lint
	if lint == nil {
		return
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nPLACE\tRULE\tOBJECT\tAPPROVAL")
	for _, f := range lint.Findings {
		needs := "-"
		if f.Blocking {
			needs = "needed"
		}
		object := f.Object
		if object == "" {
			object = "-"
		}
		_, _ = fmt.Fprintf(w, "%s:%d\t%s\t%s\t%s\n", plain(f.File), f.Line, plain(f.Rule), plain(object), needs)
	}
	_ = w.Flush()
	shown := map[string]bool{}
	_, _ = fmt.Fprintln(out)
	for _, f := range lint.Findings {
		if !shown[f.Rule] {
			_, _ = fmt.Fprintf(out, "%s: %s.\n", plain(f.Rule), plain(f.Message))
		}
		shown[f.Rule] = true
	}
	if more := total(lint) - len(lint.Findings); more > 0 {
		_, _ = fmt.Fprintf(out, "... and %d more findings.\n", more)
	}
}

// plain shows what would steer a terminal: names come from the files that are to be approved.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func total(lint *v1alpha1.LintStatus) (n int) {
	for _, c := range lint.Categories {
		n += int(c.Dangers + c.Notices)
	}
	return n
}
