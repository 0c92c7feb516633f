{{- define "injector.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "injector.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "injector.labels" -}}
{{ include "injector.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "injector.secret" -}}
{{- if or .Values.certManager.enabled .Values.selfSigned.enabled }}{{ include "injector.fullname" . }}-tls{{ else }}{{ required "memsvc-injector: name a certificate: tls.secret, or certManager.enabled, or selfSigned.enabled" .Values.tls.secret }}{{ end }}
{{- end }}

{{- define "injector.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "injector.hook" -}}
helm.sh/hook: {{ .when }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* A pod of the injector: what its Deployment's and its hook's have in common. */}}
{{- define "injector.container" -}}
image: {{ include "injector.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{/* One webhook: what both have in common. */}}
{{- define "injector.webhook" -}}
admissionReviewVersions: [v1]
sideEffects: None
timeoutSeconds: {{ .Values.timeoutSeconds }}
failurePolicy: {{ .Values.failurePolicy }}
# Other webhooks may change the pod after this one; doing it again changes nothing.
reinvocationPolicy: IfNeeded
matchPolicy: Equivalent
clientConfig:
  {{- if not (or .Values.certManager.enabled .Values.selfSigned.enabled) }}
  caBundle: {{ required "memsvc-injector: tls.caBundle is needed where neither cert-manager nor the hook tells it" .Values.tls.caBundle }}
  {{- end }}
  service:
    name: {{ include "injector.fullname" . }}
    namespace: {{ .Release.Namespace }}
    path: /mutate
    port: 443
rules:
  - {{- include "injector.pods" . | nindent 4 }}
{{- end }}
