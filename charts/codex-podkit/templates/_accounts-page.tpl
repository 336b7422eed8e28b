{{/* The container of the accounts' page. It reads the logins, writes nothing, and asks nobody. */}}
{{- define "codex-podkit.accountsPage" -}}
{{- with .Values.litellm.accountsPage -}}
name: accounts-page
image: {{ include "codex-podkit.image" (dict "root" $ "image" .image "ours" true) }}
imagePullPolicy: {{ .image.pullPolicy }}
{{- if .showIdentity }}
args: [--show-identity]
{{- end }}
ports:
  - name: accounts
    containerPort: 9095
env:
  {{- include "codex-podkit.authEnv" $ | nindent 2 }}
  - name: ACCOUNTS_LISTEN
    value: ":9095"
  {{- include "codex-podkit.commands" $ | nindent 2 }}
  {{- with .extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with include "codex-podkit.tokens" $ }}
{{ . }}
{{- end }}
livenessProbe:
  httpGet: {path: /healthz, port: 9095}
  periodSeconds: 10
readinessProbe:
  httpGet: {path: /readyz, port: 9095}
  periodSeconds: 10
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- include "codex-podkit.securityContext" dict | nindent 2 }}
volumeMounts:
  - name: chatgpt-auth
    mountPath: /chatgpt-auth
    readOnly: true
  {{- range include "codex-podkit.liveMount" $ | fromYamlArray }}
  - {{- toYaml (merge (dict "readOnly" true) .) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What is to be typed where. Without a container that has the program, it is the command alone. */}}
{{- define "codex-podkit.commands" -}}
{{- $kubectl := printf "kubectl -n %s" .Release.Namespace -}}
{{- with .Values.litellm -}}
- name: ACCOUNTS_EXEC
  value: {{ ternary (printf "%s exec -it deploy/litellm -c codex-cli --" $kubectl) "" .codexCli.enabled | quote }}
- name: ACCOUNTS_ROTATE
  {{- if not .codexAuthRotator.enabled }}
  value: rotate-once
  {{- else if eq .codexAuthRotator.mode "cronjob" }}
  # Two $, or Kubernetes would look for a variable.
  value: {{ $kubectl }} create job --from=cronjob/litellm-rotator "rotate-once-$$(date +%s)"
  {{- else }}
  value: {{ $kubectl }} exec deploy/litellm -c rotator -- rotate-once
  {{- end }}
{{- end }}
{{- end }}
