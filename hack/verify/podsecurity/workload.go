package main

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// workload is the pod of a manifest.
type workload struct {
	title string // "Deployment tenantry-controller-manager"
	meta  metav1.ObjectMeta
	spec  corev1.PodSpec
}

// parse returns the pod in a manifest, or nil where the kind has none.
func parse(document []byte) (*workload, error) {
	var head metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(document, &head); err != nil {
		return nil, err
	}
	template, err := podTemplate(head.Kind, document)
	if err != nil || template == nil {
		return nil, err
	}
	return &workload{title: head.Kind + " " + head.Name, meta: template.ObjectMeta, spec: template.Spec}, nil
}

// podTemplate reads strictly: a field that is misspelt would leave a pod less safe than it looks.
func podTemplate(kind string, document []byte) (*corev1.PodTemplateSpec, error) {
	switch kind {
	case "Pod":
		var o corev1.Pod
		err := yaml.UnmarshalStrict(document, &o)
		return &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, err
	case "Deployment":
		var o appsv1.Deployment
		err := yaml.UnmarshalStrict(document, &o)
		return &o.Spec.Template, err
	case "StatefulSet":
		var o appsv1.StatefulSet
		err := yaml.UnmarshalStrict(document, &o)
		return &o.Spec.Template, err
	case "DaemonSet":
		var o appsv1.DaemonSet
		err := yaml.UnmarshalStrict(document, &o)
		return &o.Spec.Template, err
	case "Job":
		var o batchv1.Job
		err := yaml.UnmarshalStrict(document, &o)
		return &o.Spec.Template, err
	case "CronJob":
		var o batchv1.CronJob
		err := yaml.UnmarshalStrict(document, &o)
		return &o.Spec.JobTemplate.Spec.Template, err
	}
	return nil, nil
}
