{{- define "gvList" -}}
# API reference

Generated from `api/v1alpha1` by `make docs`. The pages next to this folder explain the kinds with
examples, conditions and reasons; this one lists every field, its type and its bounds.
{{- range . }}
{{ template "gvDetails" . }}
{{- end }}
{{ end -}}
