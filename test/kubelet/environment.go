package kubelet

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// environment resolves the container's variables in their order, each seeing those before it.
func (k *Kubelet) environment(ctx context.Context, pod *corev1.Pod) ([]string, error) {
	env := []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC", "TMPDIR=" + os.TempDir()}
	for _, v := range pod.Spec.Containers[0].Env {
		value := expand(v.Value, env)
		if from := v.ValueFrom; from != nil {
			var err error
			if value, err = k.value(ctx, from); err != nil {
				return nil, err
			}
		}
		env = append(env, v.Name+"="+value)
	}
	return env, nil
}

func (k *Kubelet) value(ctx context.Context, from *corev1.EnvVarSource) (string, error) {
	name, key, kind := "", "", ""
	data := map[string][]byte{}
	switch {
	case from.SecretKeyRef != nil:
		secret := &corev1.Secret{}
		name, key, kind = from.SecretKeyRef.Name, from.SecretKeyRef.Key, "secret"
		if err := k.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, secret); err != nil {
			return "", err
		}
		data = secret.Data
	case from.ConfigMapKeyRef != nil:
		cm := &corev1.ConfigMap{}
		name, key, kind = from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key, "configmap"
		if err := k.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, cm); err != nil {
			return "", err
		}
		for key, value := range cm.Data {
			data[key] = []byte(value)
		}
	}
	value, ok := data[key]
	if !ok {
		return "", fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, k.namespace, name)
	}
	return string(value), nil
}

var reference = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)

// expand puts variables in the place of $(NAME); one that is not there stays as written.
func expand(text string, env []string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		for _, entry := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value
			}
		}
		return ref
	})
}
