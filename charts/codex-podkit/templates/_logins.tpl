{{/* The claim of the logins; empty without one. */}}
{{- define "codex-podkit.loginsClaim" -}}
{{- with .Values.litellm.chatgptAuth.persistence -}}
{{- .existingClaim | default (ternary "litellm-chatgpt-auth" "" .enabled) -}}
{{- end -}}
{{- end }}

{{/* The name of the logins' volume. A server-side apply does not make a volume of one kind into one of another, so each kind
has its own. */}}
{{- define "codex-podkit.loginsVolume" -}}
{{- ternary "chatgpt-auth" "chatgpt-auth-unsaved" (ne (include "codex-podkit.loginsClaim" .) "") -}}
{{- end }}

{{/* The volume of the logins, and what LiteLLM sees of it. */}}
{{- define "codex-podkit.volumes" -}}
{{- $claim := include "codex-podkit.loginsClaim" . -}}
- name: {{ include "codex-podkit.loginsVolume" . }}
  {{- if $claim }}
  persistentVolumeClaim:
    claimName: {{ $claim }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if ne .Values.litellm.codexAuthRotator.mode "cronjob" }}
{{ include "codex-podkit.liveVolume" . }}
{{- end }}
{{- with include "codex-podkit.caVolume" . }}
{{ . }}
{{- end }}
{{- end }}

{{/* The volume of what LiteLLM sees. Several replicas report more than one LiteLLM does. */}}
{{- define "codex-podkit.liveVolume" -}}
# In memory, because the published record is made anew at every start.
- name: chatgpt-live
  emptyDir:
    medium: Memory
    sizeLimit: {{ ternary "4Mi" "1Mi" (eq (include "codex-podkit.many" .) "true") }}
{{- end }}

{{/* The mount of what LiteLLM sees. A CronJob's pod shares only the claim, so it is a directory in the claim then. */}}
{{- define "codex-podkit.liveMount" -}}
{{- if eq .Values.litellm.codexAuthRotator.mode "cronjob" -}}
- name: {{ include "codex-podkit.loginsVolume" . }}
  mountPath: /chatgpt-live
  subPath: live
{{- else -}}
- name: chatgpt-live
  mountPath: /chatgpt-live
{{- end }}
{{- end }}

{{/* The mounts of the containers that own the logins. */}}
{{- define "codex-podkit.authMounts" -}}
- name: {{ include "codex-podkit.loginsVolume" . }}
  mountPath: /chatgpt-auth
{{ include "codex-podkit.liveMount" . }}
{{- with include "codex-podkit.caMount" . }}
{{ . }}
{{- end }}
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
- name: CODEX_LANES
  value: {{ .Values.litellm.lanes | quote }}
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
  value: {{ include "codex-podkit.text" .usagePoll | quote }}
{{- include "codex-podkit.caEnv" (dict "root" $ "names" (list "SSL_CERT_FILE")) }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* How often the rotator runs, given its part of the values. For a CronJob it follows from the schedule if that is every
N minutes or hours. */}}
{{- define "codex-podkit.interval" -}}
{{- $schedule := regexReplaceAll "\\s+" (trim .schedule) " " -}}
{{- if and (eq .mode "cronjob") (regexMatch "^\\*/[1-5]?[0-9]( \\*){4}$" $schedule) -}}
{{- regexFind "[0-9]+" $schedule }}m
{{- else if and (eq .mode "cronjob") (regexMatch "^[0-9]+ \\*/[1-9][0-9]?( \\*){3}$" $schedule) -}}
{{- regexFind "/[0-9]+" $schedule | trimPrefix "/" }}h
{{- else if and (eq .mode "cronjob") (regexMatch "^[0-9]+( \\*){4}$" $schedule) -}}
1h
{{- else -}}
{{- include "codex-podkit.text" .interval -}}
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

{{/* Where notifications go, for the rotator alone. */}}
{{- define "codex-podkit.webhookEnv" -}}
{{- with .Values.litellm.codexAuthRotator.eventWebhookSecret -}}
{{- if .name -}}
- name: CODEX_EVENT_WEBHOOK
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
      optional: true
{{- end }}
{{- end }}
{{- end }}

{{/* What rotate-once needs as init container, in the sidecar and in the CronJob. */}}
{{- define "codex-podkit.rotateOnce" -}}
{{- with .Values.litellm.codexAuthRotator -}}
image: {{ include "codex-podkit.image" (dict "root" $ "image" .image "ours" true) }}
imagePullPolicy: {{ .image.pullPolicy }}
env:
  {{- $ours := list (include "codex-podkit.webhookEnv" $) (include "codex-podkit.authEnv" $) | join "\n" }}
  {{- include "codex-podkit.env" (fromYamlArray $ours) | nindent 2 }}
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
