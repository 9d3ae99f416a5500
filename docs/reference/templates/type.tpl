{{- define "type" }}
{{- if markdownShouldRenderType . }}

### {{ .Name }}

{{ .Doc | trim }}
{{- if .EnumValues }}

| Value | Meaning |
| --- | --- |
{{- range .EnumValues }}
| `{{ .Name }}` | {{ markdownRenderFieldDoc (.Doc | trim | replace "\n" " ") }} |
{{- end }}
{{- else if .IsAlias }}

A {{ markdownRenderTypeLink .UnderlyingType }}.{{ range .Validation }} {{ . }}.{{ end }}
{{- end }}
{{- with index .Markers "kubebuilder:validation:XValidation" }}

Rules:
{{- range . }}
- {{ .Message }}
{{- end }}
{{- end }}
{{- if .Members }}

| Field | Type | What it says | Bounds |
| --- | --- | --- | --- |
{{- if .GVK }}
| `apiVersion` | string | `{{ .GVK.Group }}/{{ .GVK.Version }}` | |
| `kind` | string | `{{ .GVK.Kind }}` | |
{{- end }}
{{- range .Members }}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ template "type_members" . }} | {{ template "bounds" . }} |
{{- end }}
{{- end }}
{{- if .References }}

Used in {{ range $i, $t := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $t }}{{ end }}.
{{- end }}
{{- end }}
{{- end -}}
