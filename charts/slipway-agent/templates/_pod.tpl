{{/*
What every chart of Slipway shares: names, labels and the pod. The file is the same in each of them. What is a chart's own it
says in _own.tpl: slipway.component, .command, .derived, .fields, .secrets, .mounts, .volumes, .podAnnotations, .spreadKeys
and .mountToken.
*/}}

{{/* The name of every object: that of the release, or nameOverride. */}}
{{- define "slipway.name" -}}
{{- $name := .Values.nameOverride | default .Release.Name -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,45}[a-z0-9])?$" $name) -}}
{{- fail (printf "the name %q cannot be that of a Service: use at most 47 lower-case letters, digits and dashes, a letter first, as the release's name or as nameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* The labels that find the pods. They never change: a version never enters them. */}}
{{- define "slipway.selector" -}}
app.kubernetes.io/name: {{ include "slipway.name" . }}
app.kubernetes.io/component: {{ include "slipway.component" . }}
{{- end -}}

{{- define "slipway.podLabels" -}}
{{ include "slipway.selector" . }}
app.kubernetes.io/part-of: slipway
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "slipway.labels" -}}
{{ include "slipway.podLabels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "slipway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Every variable with a plain value, as YAML. Fails where `environment` contradicts what the chart derives. */}}
{{- define "slipway.environment" -}}
{{- $derived := dict
  "KUBERNETES_NAMESPACE" .Release.Namespace
  "MCP_DRAIN_SECONDS" (toString .Values.requestBudgetSeconds)
  "MCP_HOST" "0.0.0.0"
  "MCP_PORT" (toString .Values.port)
  "MCP_SERVICE_NAME" (include "slipway.name" .)
-}}
{{- $derived = merge $derived (include "slipway.derived" . | fromYaml) -}}
{{- $fixed := concat (keys $derived) (list "POD_IP" "POD_NAME") (keys (include "slipway.fields" . | fromYaml)) -}}
{{- range $where, $names := dict "environment" (keys .Values.environment) "secretEnvironment" (keys .Values.secretEnvironment) -}}
{{- range $name := $names | sortAlpha -}}
{{- if has $name $fixed -}}
{{- fail (printf "%s sets %s, which the chart derives: remove it, and set the value that it is derived from" $where $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := keys (include "slipway.secretEnvironment" . | fromYaml) | sortAlpha -}}
{{- if hasKey $.Values.environment $name -}}
{{- fail (printf "%s comes from a Secret and from environment: remove it from environment" $name) -}}
{{- end -}}
{{- end -}}
{{- merge $derived .Values.environment | toYaml -}}
{{- end -}}

{{/* Every variable whose value stays in a Secret, as YAML: its own, and what the chart's other values name. */}}
{{- define "slipway.secretEnvironment" -}}
{{- $own := include "slipway.secrets" . | fromYaml -}}
{{- range $name := keys $own | sortAlpha -}}
{{- if hasKey $.Values.secretEnvironment $name -}}
{{- fail (printf "secretEnvironment sets %s, which has a value of its own in this chart: set that instead" $name) -}}
{{- end -}}
{{- end -}}
{{- merge $own .Values.secretEnvironment | toYaml -}}
{{- end -}}

{{/* A digest of the variables, the same as the platform program's. */}}
{{- define "slipway.checksum" -}}
{{- $text := "" -}}
{{- range $name, $value := . -}}
{{- $text = printf "%s%d:%s=%d:%s\n" $text (len $name) $name (len $value) $value -}}
{{- end -}}
{{- sha256sum $text -}}
{{- end -}}

{{- define "slipway.probe" -}}
httpGet: { path: {{ .path }}, port: http }
periodSeconds: {{ .period }}
timeoutSeconds: {{ .timeout | default 3 }}
failureThreshold: {{ .failures | default 3 }}
initialDelaySeconds: 0
{{- end -}}

{{/* The containers' part of the `restricted` Pod Security standard, with a root that cannot be written to. */}}
{{- define "slipway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "slipway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{/* What a workload makes its pods from. */}}
{{- define "slipway.template" -}}
{{- $environment := include "slipway.environment" . | fromYaml -}}
metadata:
  labels:
    {{- include "slipway.podLabels" . | nindent 4 }}
  annotations:
    {{- if .Values.prometheus.annotations }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ .Values.port | quote }}
    prometheus.io/path: /metrics
    {{- end }}
    slipway.dev/config-checksum: {{ include "slipway.checksum" $environment }}
    slipway.dev/request-budget-seconds: {{ .Values.requestBudgetSeconds | quote }}
    {{- with include "slipway.podAnnotations" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  containers:
    - name: {{ include "slipway.component" . }}
      image: {{ include "slipway.image" . | quote }}
      imagePullPolicy: IfNotPresent
      command:
        {{- include "slipway.command" . | nindent 8 }}
      ports:
        - { name: http, containerPort: {{ .Values.port }}, protocol: TCP }
      env:
        - { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
        - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        {{- range $name, $path := include "slipway.fields" . | fromYaml }}
        - { name: {{ $name }}, valueFrom: { fieldRef: { fieldPath: {{ $path }} } } }
        {{- end }}
        {{- range $name, $value := $environment }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- range $name, $given := include "slipway.secretEnvironment" . | fromYaml }}
        - name: {{ $name }}
          valueFrom: { secretKeyRef: { name: {{ $given.secret }}, key: {{ $given.key }} } }
        {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "slipway.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "slipway.mounts" . | nindent 8 }}
        - { name: tmp, mountPath: /tmp }
      # A first start reads the image's bytecode: two minutes before it counts as failed.
      startupProbe:
        {{- include "slipway.probe" (dict "path" "/livez" "period" 2 "failures" 60) | nindent 8 }}
      livenessProbe:
        {{- include "slipway.probe" (dict "path" "/livez" "period" 10 "timeout" 5) | nindent 8 }}
      readinessProbe:
        {{- include "slipway.probe" (dict "path" "/ready" "period" 5 "failures" 2) | nindent 8 }}
      {{- if .Values.drainSeconds }}
      # Unready at once, and still serving for a while, so that nobody is sent to a pod that goes.
      lifecycle:
        preStop: { exec: { command: [sh, -c, "kill -USR1 1; sleep {{ .Values.drainSeconds }}"] } }
      {{- end }}
  serviceAccountName: {{ include "slipway.name" . }}
  automountServiceAccountToken: {{ include "slipway.mountToken" . }}
  # What Kubernetes would set for a Service called `mcp` reads like the program's own MCP_PORT.
  enableServiceLinks: false
  {{- with .Values.image.pullSecret }}
  imagePullSecrets: [{ name: {{ . }} }]
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "slipway.podSecurity" . | nindent 4 }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "slipway.selector" . | nindent 16 }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "slipway.selector" $ | nindent 10 }}
      {{- with include "slipway.spreadKeys" $ }}
      matchLabelKeys: {{ . }}
      {{- end }}
    {{- end }}
  # It counts from before the drain; five seconds are for closing connections and leaving the registry.
  terminationGracePeriodSeconds: {{ add .Values.drainSeconds .Values.requestBudgetSeconds 5 }}
  volumes:
    {{- with include "slipway.volumes" . }}
    {{- . | nindent 4 }}
    {{- end }}
    - { name: tmp, emptyDir: { sizeLimit: 64Mi } }
{{- end -}}
