{{/* A value as CEL writes it. Maps and lists are of one type there, which is dyn here. */}}
{{- define "injector.cel" -}}
{{- if kindIs "map" . -}}
{ {{- range $index, $name := keys . | sortAlpha }}{{ if $index }}, {{ end }}{{ toJson $name }}: dyn({{ include "injector.cel" (index $ $name) }}){{ end -}} }
{{- else if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}dyn({{ include "injector.cel" $item }}){{ end }}]
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . }}
{{- else -}}
{{ toJson . }}
{{- end }}
{{- end }}

{{/* What the templates of memsvc-sidecar take, as a chart that depends on it has it: its values, and ours over them. */}}
{{- define "injector.sidecar" -}}
{{- $image := dict "repository" .Values.image.repository "tag" (.Values.image.tag | default .Chart.AppVersion) "digest" .Values.image.digest "pullPolicy" .Values.image.pullPolicy }}
{{- $values := mergeOverwrite (.Files.Get "files/sidecar-values.yaml" | fromYaml) (dict "image" $image) (deepCopy .Values.sidecar) }}
{{- toYaml $values }}
{{- end }}

{{/* The conditions under which a pod is given a sidecar; `all`: pods that do not ask for it, too. */}}
{{- define "injector.conditions" -}}
{{- if .all }}
- name: does-not-refuse-it
  expression: >-
    !(has(object.metadata.annotations) && "memsvc.dev/inject" in object.metadata.annotations
    && object.metadata.annotations["memsvc.dev/inject"] == "false")
{{- else }}
- name: asks-for-it
  expression: >-
    has(object.metadata.annotations) && "memsvc.dev/inject" in object.metadata.annotations
    && object.metadata.annotations["memsvc.dev/inject"] == "true"
{{- end }}
{{- end }}

{{/* The namespaces; the injector's own, and kube-system, are left alone. */}}
{{- define "injector.namespaces" -}}
matchExpressions:
  {{- if .all }}
  - {key: memsvc.dev/inject, operator: In, values: ["true"]}
  {{- else }}
  - {key: memsvc.dev/inject, operator: DoesNotExist}
  {{- end }}
  - {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, {{ .root.Release.Namespace }}]}
{{- end }}

{{/* Pods as they are created. */}}
{{- define "injector.pods" -}}
apiGroups: [""]
apiVersions: [v1]
operations: [CREATE]
resources: [pods]
scope: Namespaced
{{- end }}

{{/* What an admission policy computes from a pod's annotations; a list of variables. */}}
{{- define "injector.annotations" -}}
- name: annotations
  expression: 'has(object.metadata.annotations) ? object.metadata.annotations : {}'
- name: secrets
  expression: variables.annotations.map(name, name).filter(name, name.startsWith("memsvc.dev/secret."))
- name: settings
  expression: >-
    variables.annotations.map(name, name).filter(name, name.startsWith("memsvc.dev/") && !name.startsWith("memsvc.dev/secret.")
    && !(name in ["memsvc.dev/inject", "memsvc.dev/status", "memsvc.dev/added-fs-group", "memsvc.dev/image", "memsvc.dev/data-claim",
    "memsvc.dev/resources"]))
{{- end }}
