// Command podsecurity reads rendered manifests from standard input and fails unless every pod in
// them meets a Pod Security Standard, by the same rules as the API server's admission.
//
//	kustomize build config/default | podsecurity -level restricted
//
// It fails too when there is no pod at all: a check that saw nothing has not passed.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	level := flag.String("level", string(api.LevelRestricted), "baseline or restricted")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, api.Level(*level)); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "podsecurity:", err)
		os.Exit(1)
	}
}

// run checks every manifest of in and writes one line for each that has a pod.
func run(in io.Reader, out io.Writer, level api.Level) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	target := api.LevelVersion{Level: level, Version: api.LatestVersion()}
	documents := yaml.NewYAMLReader(bufio.NewReader(in))
	var pods, refused int
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		workload, err := parse(document)
		if err != nil {
			return err
		}
		if workload == nil {
			continue
		}
		pods++
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(target, &workload.meta, &workload.spec))
		if result.Allowed {
			_, _ = fmt.Fprintf(out, "%s: meets %s\n", workload.title, level)
			continue
		}
		refused++
		_, _ = fmt.Fprintf(out, "%s: violates %s: %s\n", workload.title, level, result.ForbiddenDetail())
	}
	switch {
	case refused > 0:
		return fmt.Errorf("%d of %d pods violate %s", refused, pods, level)
	case pods == 0:
		return errors.New("no pod in the input")
	}
	return nil
}
