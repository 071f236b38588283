{{/* What is the registry's own in the pod that all charts share. */}}

{{- define "slipway.component" -}}registry{{- end -}}

{{- define "slipway.command" -}}
[slipway, registry, --data, /var/lib/slipway]
{{- end -}}

{{- define "slipway.derived" -}}{{- end -}}

{{- define "slipway.fields" -}}
REGISTRY_ID: metadata.name
{{- end -}}

{{- define "slipway.secrets" -}}
{{- with .Values.redis }}
{{- if .secret }}
REDIS_URL: { secret: {{ .secret }}, key: {{ .key }} }
{{- end }}
{{- end }}
{{- with .Values.tokens }}
{{- if .secret }}
MCP_AUTH_TOKENS: { secret: {{ .secret }}, key: {{ .key }} }
{{- end }}
{{- end }}
{{- end -}}

{{- define "slipway.mounts" -}}
- { name: data, mountPath: /var/lib/slipway }
{{- end -}}

{{- define "slipway.volumes" -}}{{- end -}}

{{- define "slipway.podAnnotations" -}}{{- end -}}

{{/* A StatefulSet has no hash of its template to spread by. */}}
{{- define "slipway.spreadKeys" -}}{{- end -}}

{{- define "slipway.mountToken" -}}false{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "registry.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.redis.secret) -}}
{{- fail (printf "redis.secret is empty, and %d replicas share what they know through Redis: name an existing Secret whose key `%s` is a redis:// address, or set replicas to 1, which keeps the agents on its own volume" (int .Values.replicas) .Values.redis.key) -}}
{{- end -}}
{{- end -}}
