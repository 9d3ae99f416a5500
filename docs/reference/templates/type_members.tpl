{{- define "type_members" -}}
{{- if eq .Name "metadata" -}}
Standard object metadata.
{{- else -}}
{{ markdownRenderFieldDoc (.Doc | trim | replace "\n" " ") }}
{{- end -}}
{{- end -}}

{{- define "bounds" -}}
{{- $required := "optional" -}}
{{- $bounds := list -}}
{{- range .Validation -}}
{{- if hasPrefix "Required" . -}}
{{- $required = "required" -}}
{{- else if not (hasPrefix "Optional" .) -}}
{{- $bounds = append $bounds (markdownRenderFieldDoc .) -}}
{{- end -}}
{{- end -}}
{{- if .Default -}}
{{- $bounds = prepend $bounds (printf "default `%s`" .Default) -}}
{{- end -}}
{{- range index .Markers "kubebuilder:validation:XValidation" -}}
{{- $bounds = append $bounds (markdownRenderFieldDoc .Message) -}}
{{- end -}}
{{ join "<br />" (prepend $bounds $required) }}
{{- end -}}
