{{- define "memsvc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "memsvc.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "memsvc.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "memsvc.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end }}
{{- end }}

{{- define "memsvc.selector" -}}
app.kubernetes.io/name: {{ include "memsvc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "memsvc.commonLabels" -}}
app.kubernetes.io/name: {{ include "memsvc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "memsvc.labels" -}}
{{ include "memsvc.commonLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "memsvc.serviceAccountName" -}}
{{- default (include "memsvc.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "memsvc.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* "true" where SQLite needs a folder. */}}
{{- define "memsvc.isSqlite" -}}
{{- if and (not .Values.settingsFromSecrets.storage_url) (hasPrefix "sqlite:" .Values.settings.storage_url) -}}
true
{{- end }}
{{- end }}

{{- define "memsvc.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "memsvc.fullname" . }}-tls
{{- else -}}
{{ .Values.tls.secret }}
{{- end }}
{{- end }}

{{/* A setting as memsvc reads it from the environment. Helm reads every number as a float, and would say 6.7e+07. */}}
{{- define "memsvc.setting" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "map" . }}{{ toJson . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}

{{/* Items of env for some settings: a dict of values and names. */}}
{{- define "memsvc.settings" -}}
{{- $values := .values -}}
{{- range $name := .names }}
{{- $secret := get $values.settingsFromSecrets $name }}
{{- if $secret }}
- name: MEMSVC_{{ upper $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.key }}
{{- else if not (kindIs "invalid" (get $values.settings $name)) }}
{{- $value := include "memsvc.setting" (get $values.settings $name) }}
{{- if $value }}
- name: MEMSVC_{{ upper $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What no schema can say. */}}
{{- define "memsvc.check" -}}
{{- if not (or .Values.settings.storage_url .Values.settingsFromSecrets.storage_url) }}
{{- fail "memsvc: name a database: settingsFromSecrets.storage_url (a Secret that holds its URL), or settings.storage_url" }}
{{- end }}
{{- if not .Values.insecure }}
{{- if not (include "memsvc.tlsSecret" .) }}
{{- fail "memsvc: name a certificate: tls.secret, or tls.certManager; or say insecure: true" }}
{{- end }}
{{- if not (or .Values.tokens.secret .Values.tls.clientCertificates) }}
{{- fail "memsvc: say who may call: tokens.secret, or tls.clientCertificates; or say insecure: true" }}
{{- end }}
{{- end }}
{{- $needed := addf .Values.preStopSeconds (default 10 .Values.settings.drain_seconds) 5 }}
{{- if lt (float64 .Values.terminationGracePeriodSeconds) $needed }}
{{- fail (printf "memsvc: terminationGracePeriodSeconds has to be %v at least: preStopSeconds, drain_seconds and 5 s" (ceil $needed)) }}
{{- end }}
{{- end }}
