{{/* Objects that every chart of Slipway makes alike. The file is the same in each of them. */}}

{{/* The stable address, on port 80. */}}
{{- define "slipway.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "slipway.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slipway.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "slipway.selector" . | nindent 4 }}
  ports:
    - { name: http, port: 80, targetPort: http, protocol: TCP }
  sessionAffinity: None
{{- end -}}

{{/* A name that lists the ready pods, on their own port. */}}
{{- define "slipway.headless" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "slipway.name" . }}-headless
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slipway.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "slipway.selector" . | nindent 4 }}
  ports:
    - { name: http, port: {{ .Values.port }}, targetPort: http, protocol: TCP }
{{- end -}}

{{/* An identity of its own, which a service mesh knows it by. */}}
{{- define "slipway.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "slipway.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slipway.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{/* At most one pod is taken away at once by drains. */}}
{{- define "slipway.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "slipway.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slipway.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that never became ready must not hold up a drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "slipway.selector" . | nindent 6 }}
{{- end -}}

{{- define "slipway.monitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "slipway.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "slipway.labels" . | nindent 4 }}
    {{- with .Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  jobLabel: app.kubernetes.io/name
  selector:
    matchLabels:
      {{- include "slipway.selector" . | nindent 6 }}
  endpoints:
    - port: http
      path: /metrics
      interval: {{ .Values.serviceMonitor.interval }}
      # The headless Service has the same labels: each pod is scraped once.
      relabelings:
        - sourceLabels: [__meta_kubernetes_service_name]
          regex: {{ include "slipway.name" . }}
          action: keep
{{- end -}}

{{/* The rules that every policy has: who may ask for metrics and run the chart's tests, and where names come from. */}}
{{- define "slipway.usualIngress" -}}
- from: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ .Values.networkPolicy.prometheusNamespace }} } } }]
  ports: [{ port: {{ .Values.port }}, protocol: TCP }]
- from: [{ podSelector: { matchLabels: { app.kubernetes.io/name: {{ include "slipway.name" . }}, app.kubernetes.io/component: test } } }]
  ports: [{ port: {{ .Values.port }}, protocol: TCP }]
{{- with .Values.networkPolicy.extraIngress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "slipway.usualEgress" -}}
- to:
    - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }
      podSelector: { matchLabels: { k8s-app: kube-dns } }
  ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
# The cache that many clusters run on each node.
- to: [{ ipBlock: { cidr: 169.254.20.10/32 } }]
  ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The registry's pods, where its address is that of a Service in the cluster; its port anywhere, where it is not. */}}
{{- define "slipway.registryEgress" -}}
{{- with .Values.registry.url -}}
{{- $address := urlParse . -}}
{{- $host := splitList ":" $address.host -}}
{{- $labels := splitList "." (first $host) -}}
{{- $port := ternary (last $host) (ternary 443 80 (eq $address.scheme "https")) (gt (len $host) 1) -}}
{{- if and (gt (len $labels) 2) (ne (index $labels 2) "svc") -}}
- ports: [{ port: {{ $port }}, protocol: TCP }]
{{- else -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ ternary (index $labels (ternary 1 0 (gt (len $labels) 1))) $.Release.Namespace (gt (len $labels) 1) }}
      podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ first $labels }}
          app.kubernetes.io/component: registry
  ports: [{ port: {{ $.Values.registry.podPort }}, protocol: TCP }]
{{- /* name.namespace reads like a domain of the outside. */ -}}
{{- if eq (len $labels) 2 }}
- ports: [{ port: {{ $port }}, protocol: TCP }]
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A pod that asks the workload something once: what `helm test` runs. Takes the root and the command. */}}
{{- define "slipway.test" -}}
{{- $root := .root -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "slipway.name" $root }}-test
  namespace: {{ $root.Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ include "slipway.name" $root }}
    app.kubernetes.io/component: test
    app.kubernetes.io/part-of: slipway
    app.kubernetes.io/managed-by: {{ $root.Release.Service }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.image.pullSecret }}
  imagePullSecrets: [{ name: {{ . }} }]
  {{- end }}
  securityContext:
    {{- include "slipway.podSecurity" $root | nindent 4 }}
  containers:
    - name: test
      image: {{ include "slipway.image" $root | quote }}
      imagePullPolicy: IfNotPresent
      command:
        {{- .command | nindent 8 }}
      resources:
        requests: { cpu: 50m, memory: 128Mi }
        limits: { cpu: 500m, memory: 256Mi }
      securityContext:
        {{- include "slipway.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
  volumes:
    - { name: tmp, emptyDir: { sizeLimit: 64Mi } }
{{- end -}}
