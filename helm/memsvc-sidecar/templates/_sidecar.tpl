{{/*
What a pod needs to have memsvc beside its agent. Each takes the root context of the chart that depends on this one;
helm/examples/agent shows where each goes.
*/}}

{{/* An item of initContainers, to be the first: what comes before it starts before there is a memory. */}}
{{- define "memsvc.sidecar.container" -}}
{{- /* A helm that was built without its version takes v1.20.0 for a cluster that it cannot see. */}}
{{- if and (semverCompare "<1.29-0" .Capabilities.KubeVersion.Version) (ne .Capabilities.KubeVersion.Version "v1.20.0") }}
{{- fail "memsvc-sidecar: needs Kubernetes 1.29 or newer: before, an init container that goes on holds up its pod for ever" }}
{{- end }}
{{- $values := index .Values "memsvc-sidecar" -}}
name: memsvc
image: {{ include "memsvc.sidecar.image" . }}
imagePullPolicy: {{ $values.image.pullPolicy }}
# With this an init container is a sidecar: it goes on beside the agent, and ends after it.
restartPolicy: Always
args: [serve]
env:
  - name: MEMSVC_LISTEN
    value: unix:///run/memsvc/memsvc.sock
  - name: MEMSVC_HEALTH_LISTEN
    value: {{ printf "[::]:%d" (int $values.healthPort) | quote }}
{{- range $name, $value := $values.settings }}
{{- if not (get $values.settingsFromSecrets $name) }}
  - name: MEMSVC_{{ upper $name }}
    value: {{ include "memsvc.sidecar.setting" $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $secret := $values.settingsFromSecrets }}
{{- if $secret }}
  - name: MEMSVC_{{ upper $name }}
    valueFrom:
      secretKeyRef:
        name: {{ $secret.name }}
        key: {{ $secret.key }}
{{- end }}
{{- end }}
{{- if include "memsvc.sidecar.hasData" . }}
  # SQLite sorts what is large in a file, and the root file system is read-only.
  - name: SQLITE_TMPDIR
    value: /data
{{- end }}
ports:
  - name: memsvc-health
    containerPort: {{ $values.healthPort }}
# Neither asks for the database: an agent is not held up, restarted or cut off because a database is away.
startupProbe:
  grpc:
    port: {{ $values.healthPort }}
  {{- toYaml $values.startupProbe | nindent 2 }}
livenessProbe:
  grpc:
    port: {{ $values.healthPort }}
    service: liveness
  {{- toYaml $values.livenessProbe | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
volumeMounts:
  - name: memsvc-socket
    mountPath: /run/memsvc
{{- if include "memsvc.sidecar.hasData" . }}
  - name: memsvc-data
    mountPath: /data
{{- end }}
{{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Items of the pod's volumes. */}}
{{- define "memsvc.sidecar.volumes" -}}
{{- $values := index .Values "memsvc-sidecar" -}}
- name: memsvc-socket
  emptyDir:
    sizeLimit: 1Mi
{{- if include "memsvc.sidecar.hasData" . }}
- name: memsvc-data
{{- if $values.data.persistentVolumeClaim }}
  persistentVolumeClaim:
    claimName: {{ $values.data.persistentVolumeClaim }}
{{- else }}
  emptyDir:
    sizeLimit: {{ $values.data.sizeLimit }}
{{- end }}
{{- end }}
{{- end }}

{{/* An item of the agent's volumeMounts. Read-only: one connects all the same, and cannot delete the socket. */}}
{{- define "memsvc.sidecar.volumeMount" -}}
name: memsvc-socket
mountPath: /run/memsvc
readOnly: true
{{- end }}

{{/* An item of the agent's env: what its client connects to. */}}
{{- define "memsvc.sidecar.env" -}}
name: MEMSVC_TARGET
value: unix:///run/memsvc/memsvc.sock
{{- end }}

{{/* Fields of the pod's securityContext: the kubelet gives the socket's folder to this group, and its bit to all in it. */}}
{{- define "memsvc.sidecar.podSecurityContext" -}}
{{- $values := index .Values "memsvc-sidecar" -}}
fsGroup: {{ $values.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}

{{/* The pod's terminationGracePeriodSeconds: first the agent ends, then memsvc drains, and 5 s are for what is late. */}}
{{- define "memsvc.sidecar.terminationGracePeriodSeconds" -}}
{{- $values := index .Values "memsvc-sidecar" -}}
{{- add $values.agentStopSeconds (ceil (default 10 $values.settings.drain_seconds)) 5 -}}
{{- end }}

{{/* Lines for the NOTES.txt of the chart that depends on this one. */}}
{{- define "memsvc.sidecar.notes" -}}
{{- $values := index .Values "memsvc-sidecar" -}}
memsvc serves unix:///run/memsvc/memsvc.sock in each pod ($MEMSVC_TARGET in the agent's container).
{{- if and (include "memsvc.sidecar.hasData" .) (not $values.data.persistentVolumeClaim) }}

WARNING: what it learns is in an emptyDir, and is lost with the pod. Name a PersistentVolumeClaim
(memsvc-sidecar.data.persistentVolumeClaim), or a database (memsvc-sidecar.settingsFromSecrets.storage_url).
{{- end }}
{{- end }}

{{- define "memsvc.sidecar.image" -}}
{{- $values := index .Values "memsvc-sidecar" -}}
{{- $chart := index .Subcharts "memsvc-sidecar" -}}
{{- if $values.image.digest -}}
{{ $values.image.repository }}@{{ $values.image.digest }}
{{- else -}}
{{ $values.image.repository }}:{{ $values.image.tag | default $chart.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* "true" where SQLite needs a folder. */}}
{{- define "memsvc.sidecar.hasData" -}}
{{- $values := index .Values "memsvc-sidecar" -}}
{{- if and (not $values.settingsFromSecrets.storage_url) (hasPrefix "sqlite:" (toString $values.settings.storage_url)) -}}
true
{{- end }}
{{- end }}

{{/* A setting as memsvc reads it from the environment. Helm reads every number as a float, and would say 6.7e+07. */}}
{{- define "memsvc.sidecar.setting" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "map" . }}{{ toJson . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}
