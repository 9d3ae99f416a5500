{{- define "gvDetails" }}
## {{ .GroupVersionString }}

{{ .Doc | trim }}

Kinds:
{{- range .SortedKinds }}
- {{ $.TypeForKind . | markdownRenderTypeLink }}
{{- end }}
{{- range .SortedKinds }}
{{- template "type" ($.TypeForKind .) }}
{{- end }}

## Types within the kinds
{{- range .SortedTypes }}
{{- if not .GVK }}
{{- template "type" . }}
{{- end }}
{{- end }}
{{- end -}}
