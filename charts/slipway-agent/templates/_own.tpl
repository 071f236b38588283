{{/* What is the agent's own in the pod that all charts share. */}}

{{- define "slipway.component" -}}agent{{- end -}}

{{- define "slipway.command" -}}
[slipway, agent, --config, /etc/slipway/agent-config.yaml]
{{- end -}}

{{- define "slipway.derived" -}}
MCP_MESH_HTTP_ENABLED: "true"
{{- with .Values.registry.url }}
MCP_MESH_REGISTRY_URL: {{ . | quote }}
{{- end }}
{{- with .Values.modules }}
MCP_AGENT_MODULES: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{- define "slipway.fields" -}}{{- end -}}

{{- define "slipway.secrets" -}}
{{- with .Values.registry.token -}}
{{- if .secret }}
MCP_MESH_TOKEN: { secret: {{ .secret }}, key: {{ .key }} }
{{- end }}
{{- end -}}
{{- end -}}

{{- define "slipway.mounts" -}}
- { name: config, mountPath: /etc/slipway, readOnly: true }
{{- end -}}

{{- define "slipway.volumes" -}}
- { name: config, configMap: { name: {{ include "slipway.name" . }}-config, defaultMode: 365 } }
{{- end -}}

{{/* With it, a changed ConfigMap rolls the pods; without it, they read it again while they run. */}}
{{- define "slipway.podAnnotations" -}}
{{- if eq .Values.onConfigChange "restart" -}}
slipway.dev/file-checksum: {{ include "agent.config" . | sha256sum }}
{{- end -}}
{{- end -}}

{{- define "slipway.spreadKeys" -}}[pod-template-hash]{{- end -}}

{{- define "slipway.mountToken" -}}false{{- end -}}

{{/* agent-config.yaml, as the program reads it. */}}
{{- define "agent.config" -}}
{{- $capabilities := list -}}
{{- range .Values.capabilities -}}
{{- $one := dict "name" .name "version" (.version | default "1.0.0") "timeout" (.timeout | default 30) -}}
{{- with .tags -}}{{- $_ := set $one "tags" . -}}{{- end -}}
{{- $capabilities = append $capabilities $one -}}
{{- end -}}
{{- $config := dict "capabilities" $capabilities "health_interval" .Values.healthInterval "retry_attempts" .Values.retryAttempts -}}
{{- with .Values.dependencies -}}{{- $_ := set $config "dependencies" . -}}{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "agent.check" -}}
{{- $names := list -}}
{{- range .Values.capabilities -}}
{{- if has .name $names -}}{{- fail (printf "capabilities: %q is there twice: give it once" .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range .Values.dependencies -}}
{{- if has (splitList "@" . | first) $names -}}
{{- fail (printf "dependencies: an agent cannot depend on %q, a capability of its own: remove it" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling: minReplicas is %d, above maxReplicas %d: lower it, or raise maxReplicas" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if not (or .cpu .memory) -}}
{{- fail "autoscaling has neither cpu nor memory to scale by: set one" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
