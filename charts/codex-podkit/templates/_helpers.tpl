{{/* Labels of everything, given (dict "root" $ "app" "…"). */}}
{{- define "codex-podkit.labels" -}}
{{ include "codex-podkit.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Labels of a pod: none that changes with the chart's version, or every upgrade would restart every agent. */}}
{{- define "codex-podkit.podLabels" -}}
{{ include "codex-podkit.selector" . }}
app.kubernetes.io/name: {{ .root.Chart.Name }}
{{- end }}

{{/* Labels by which a Deployment selects its pods. They must never change. */}}
{{- define "codex-podkit.selector" -}}
app: {{ .app }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
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

{{/* The pod's part of the restricted profile. Group 65532 owns the volumes, so every container's user may write there. */}}
{{- define "codex-podkit.podSecurityContext" -}}
{{- $restricted := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $restricted .Values.podSecurityContext) -}}
{{- end }}

{{/* The container's part of the restricted profile, given what is merged over it. */}}
{{- define "codex-podkit.securityContext" -}}
{{- $restricted := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $restricted .) -}}
{{- end }}

{{/* Where a pod may be scheduled, given its part of the values. */}}
{{- define "codex-podkit.scheduling" -}}
{{- $set := dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" -}}
{{- with index $ $key }}{{ $_ := set $set $key . }}{{ end -}}
{{- end -}}
{{- with $set }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* The claim of the logins; empty without one. */}}
{{- define "codex-podkit.claim" -}}
{{- with .Values.litellm.chatgptAuth.persistence -}}
{{- .existingClaim | default (ternary "litellm-chatgpt-auth" "" .enabled) -}}
{{- end -}}
{{- end }}

{{/* The volume of the logins, and what LiteLLM sees of it. */}}
{{- define "codex-podkit.volumes" -}}
{{- $claim := include "codex-podkit.claim" . -}}
- name: chatgpt-auth
  {{- if $claim }}
  persistentVolumeClaim:
    claimName: {{ $claim }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if ne .Values.litellm.codexAuthRotator.mode "cronjob" }}
# In memory, because the published record is made anew at every start.
- name: chatgpt-live
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- end }}

{{/* The mount of what LiteLLM sees. A CronJob's pod shares only the claim, so it is a directory in the claim then. */}}
{{- define "codex-podkit.liveMount" -}}
{{- if eq .Values.litellm.codexAuthRotator.mode "cronjob" -}}
- name: chatgpt-auth
  mountPath: /chatgpt-live
  subPath: live
{{- else -}}
- name: chatgpt-live
  mountPath: /chatgpt-live
{{- end }}
{{- end }}

{{/* The mounts of the containers that own the logins. */}}
{{- define "codex-podkit.authMounts" -}}
- name: chatgpt-auth
  mountPath: /chatgpt-auth
{{ include "codex-podkit.liveMount" . }}
{{- end }}

{{/* The variables for the volume and for the rotator's rules, which accounts and rotate-once have to share. */}}
{{- define "codex-podkit.authEnv" -}}
- name: CHATGPT_AUTH_DIR
  value: /chatgpt-auth
- name: CHATGPT_LIVE_DIR
  value: /chatgpt-live
# LiteLLM may run as another user, which reads the record as a member of the volumes' group.
- name: CHATGPT_PUBLISHED_MODE
  value: "640"
{{- with .Values.litellm.codexAuthRotator }}
- name: CODEX_ROTATION_INTERVAL_SEC
  value: {{ include "codex-podkit.interval" . | quote }}
- name: CODEX_ROTATION_POLICY
  value: {{ .policy }}
- name: CODEX_ROTATE_AT_PERCENT
  value: {{ .rotateAtPercent | quote }}
- name: CODEX_RESERVE_PERCENT
  value: {{ .reservePercent | quote }}
- name: CODEX_USAGE_POLL_SEC
  value: {{ .usagePoll | quote }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* How often the rotator runs, given its part of the values. For a CronJob it follows from the schedule if that is every
N minutes or hours. */}}
{{- define "codex-podkit.interval" -}}
{{- $schedule := regexReplaceAll "\\s+" (trim .schedule) " " -}}
{{- if ne .mode "cronjob" -}}
{{- .interval -}}
{{- else if regexMatch "^\\*/[1-5]?[0-9]( \\*){4}$" $schedule -}}
{{- regexFind "[0-9]+" $schedule }}m
{{- else if regexMatch "^[0-9]+ \\*/[1-9][0-9]?( \\*){3}$" $schedule -}}
{{- regexFind "/[0-9]+" $schedule | trimPrefix "/" }}h
{{- else if regexMatch "^[0-9]+( \\*){4}$" $schedule -}}
1h
{{- else -}}
{{- .interval -}}
{{- end -}}
{{- end }}

{{/* The tokens of the Secret, for every container that reads the accounts, so that all of them see the same. */}}
{{- define "codex-podkit.tokens" -}}
{{- with .Values.litellm.chatgptAuth.tokensSecret -}}
envFrom:
  - secretRef:
      name: {{ . }}
      optional: true
{{- end }}
{{- end }}

{{/* What rotate-once needs as init container, in the sidecar and in the CronJob. */}}
{{- define "codex-podkit.rotateOnce" -}}
{{- with .Values.litellm.codexAuthRotator -}}
image: {{ include "codex-podkit.image" (dict "root" $ "image" .image "ours" true) }}
imagePullPolicy: {{ .image.pullPolicy }}
env:
  {{- include "codex-podkit.authEnv" $ | nindent 2 }}
{{- with .eventWebhookSecret }}
{{- if .name }}
  - name: CODEX_EVENT_WEBHOOK
    valueFrom:
      secretKeyRef:
        name: {{ .name }}
        key: {{ .key }}
        optional: true
{{- end }}
{{- end }}
{{- with include "codex-podkit.tokens" $ }}
{{ . }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- include "codex-podkit.securityContext" dict | nindent 2 }}
volumeMounts:
  {{- include "codex-podkit.authMounts" $ | nindent 2 }}
{{- end }}
{{- end }}

{{/* Refuses values that cannot work before anything is installed. */}}
{{- define "codex-podkit.check" -}}
{{- with .Values.litellm -}}
{{- if and .enabled .codexAuthRotator.enabled (eq .codexAuthRotator.mode "cronjob") (not (include "codex-podkit.claim" $)) -}}
{{- fail "litellm.codexAuthRotator.mode: cronjob needs litellm.chatgptAuth.persistence.enabled: true, as its pod shares nothing else with LiteLLM" -}}
{{- end -}}
{{- end -}}
{{- range $name, $agent := .Values.agents -}}
{{- if not (or $.Values.litellm.enabled $.Values.agentDefaults.baseUrl (get ($agent | default dict) "baseUrl")) -}}
{{- fail (printf "agents.%s.baseUrl is needed where litellm.enabled is false: the URL of your LiteLLM, such as http://litellm:4000/v1" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
