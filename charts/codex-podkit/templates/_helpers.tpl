{{/* Labels and annotations of an object, given (dict "root" $ "app" "…"), and by choice the user's "labels" and
"annotations", "own" annotations of ours, a "component", and "pod" true for a pod. The user's win over ours. */}}
{{- define "codex-podkit.metadata" -}}
{{- $ours := include (ternary "codex-podkit.podLabels" "codex-podkit.labels" (.pod | default false)) . | fromYaml -}}
labels:
  {{- mergeOverwrite $ours .root.Values.commonLabels (.labels | default dict) | toYaml | nindent 2 }}
{{- with mergeOverwrite dict (.own | default dict) .root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Our labels of everything. */}}
{{- define "codex-podkit.labels" -}}
{{ include "codex-podkit.podLabels" . }}
helm.sh/chart: {{ include "codex-podkit.labelValue" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) }}
app.kubernetes.io/version: {{ include "codex-podkit.labelValue" .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Our labels of a pod: none that changes with the chart's version, or every upgrade would restart every agent. */}}
{{- define "codex-podkit.podLabels" -}}
{{ include "codex-podkit.selector" . }}
app.kubernetes.io/name: {{ .root.Chart.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Labels by which a Deployment selects its pods. They must never change. */}}
{{- define "codex-podkit.selector" -}}
app: {{ .app }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}

{{/* A version as a label takes it: without the + that Flux appends to a chart's version. */}}
{{- define "codex-podkit.labelValue" -}}
{{- . | replace "+" "_" | trunc 63 | regexFind "^.*[A-Za-z0-9]" -}}
{{- end }}

{{/* An image's name, given (dict "root" $ "image" … "ours" true|false). */}}
{{- define "codex-podkit.image" -}}
{{- $repository := .image.repository -}}
{{- if and .ours .root.Values.imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .root.Values.imageRegistry) $repository -}}
{{- end -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion | toString -}}
{{- printf "%s%s%s" $repository (ternary "@" ":" (hasPrefix "sha256:" $tag)) $tag -}}
{{- end }}

{{/* What every pod has, given (dict "root" $ "of" its part of the values). Group 65532 owns the volumes, so every
container's user may write there. */}}
{{- define "codex-podkit.pod" -}}
automountServiceAccountToken: {{ .of.automountServiceAccountToken | default false }}
enableServiceLinks: false
securityContext:
  {{- $restricted := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") }}
  {{- toYaml (mergeOverwrite $restricted .root.Values.podSecurityContext) | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {{ kindIs "string" . | ternary (dict "name" .) . | toYaml }}
  {{- end }}
{{- end }}
{{- $of := .of }}
{{- range $field := list "serviceAccountName" "priorityClassName" "runtimeClassName" "terminationGracePeriodSeconds" "hostAliases" "dnsConfig" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $of $field }}
{{ toYaml (dict $field .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The container's part of the restricted profile, given what is merged over it. */}}
{{- define "codex-podkit.securityContext" -}}
{{- $restricted := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $restricted .) -}}
{{- end }}

{{/* A list of variables in which each is once, given one in which the user's come last: of two with a name the later. */}}
{{- define "codex-podkit.env" -}}
{{- $kept := list -}}
{{- $names := dict -}}
{{- range reverse . -}}
{{- if not (hasKey $names .name) -}}
{{- $kept = prepend $kept . -}}
{{- $_ := set $names .name true -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end }}

{{/* The variables by which a container's programs find the roots of caBundle, given (dict "root" $ "names" …). */}}
{{- define "codex-podkit.caEnv" -}}
{{- with .root.Values.caBundle -}}
{{- if .configMap -}}
{{- $key := .key -}}
{{- range $.names }}
- name: {{ . }}
  value: /etc/ca-bundle/{{ $key }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The mount of caBundle, as a list that is empty without it. */}}
{{- define "codex-podkit.caMount" -}}
{{- if .Values.caBundle.configMap -}}
- name: ca-bundle
  mountPath: /etc/ca-bundle
  readOnly: true
{{- end -}}
{{- end }}

{{/* The volume of caBundle, as a list that is empty without it. */}}
{{- define "codex-podkit.caVolume" -}}
{{- with .Values.caBundle.configMap -}}
- name: ca-bundle
  configMap:
    name: {{ . }}
{{- end -}}
{{- end }}

{{/* A claim that neither an uninstall nor a prune of Argo CD or Flux deletes, given (dict "root" $ "app" "…" "name" "…"
"persistence" …). */}}
{{- define "codex-podkit.claim" -}}
{{- $keep := dict "helm.sh/resource-policy" "keep" "argocd.argoproj.io/sync-options" "Prune=false,Delete=false" "argocd.argoproj.io/compare-options" "IgnoreExtraneous" "kustomize.toolkit.fluxcd.io/prune" "disabled" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  {{- include "codex-podkit.metadata" (merge (dict "own" $keep) .) | nindent 2 }}
spec:
  accessModes: [{{ .persistence.accessMode }}]
  {{- with .persistence.storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end }}

{{/* A text, or a whole number as one. Helm has a number as a float, which it would print as 1e+06. */}}
{{- define "codex-podkit.text" -}}
{{- kindIs "string" . | ternary . (toJson .) -}}
{{- end }}
