{{/* What is the operator's own in the pod that all charts share. */}}

{{- define "slipway.component" -}}operator{{- end -}}

{{- define "slipway.command" -}}
[slipway, operator, --lease, {{ include "slipway.name" . }}-leader]
{{- end -}}

{{- define "slipway.derived" -}}
# Agents run the operator's own image unless they, or the values, name another.
ARCHON_MCP_IMAGE: {{ .Values.agents.image | default (include "slipway.image" .) | quote }}
{{- with .Values.registry.url }}
MCP_MESH_REGISTRY_URL: {{ . | quote }}
{{- end }}
{{- with .Values.agents.namespaces }}
MCP_OPERATOR_NAMESPACES: {{ join "," . | quote }}
{{- end }}
{{- with .Values.agents.pullSecret }}
MCP_OPERATOR_PULL_SECRET: {{ . | quote }}
{{- end }}
{{- if ne .Values.networkPolicy.prometheusNamespace "monitoring" }}
MCP_OPERATOR_PROMETHEUS_NAMESPACE: {{ .Values.networkPolicy.prometheusNamespace | quote }}
{{- end }}
{{- end -}}

{{- define "slipway.fields" -}}{{- end -}}

{{- define "slipway.secrets" -}}
{{- with .Values.registry.token -}}
{{- if .secret }}
MCP_OPERATOR_REGISTRY_TOKEN: { secret: {{ .secret }}, key: {{ .key }} }
{{- end }}
{{- end -}}
{{- end -}}

{{- define "slipway.mounts" -}}{{- end -}}

{{- define "slipway.volumes" -}}{{- end -}}

{{- define "slipway.podAnnotations" -}}{{- end -}}

{{- define "slipway.spreadKeys" -}}[pod-template-hash]{{- end -}}

{{- define "slipway.mountToken" -}}true{{- end -}}
