{{/* The container of the accounts' page. It reads the logins, writes nothing and sends no request. */}}
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
  {{- include "codex-podkit.env" (concat (include "codex-podkit.pageEnv" $ | fromYamlArray) .extraEnv) | nindent 2 }}
{{- with include "codex-podkit.tokens" $ }}
{{ . }}
{{- end }}
# No readinessProbe: a pod is ready when all its containers are, so a page that does not answer would take LiteLLM out of
# its Service. It is restarted only after it has not answered for minutes.
livenessProbe:
  httpGet: {path: /healthz, port: 9095}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 6
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
  {{- with include "codex-podkit.caMount" $ }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The variables of the page. */}}
{{- define "codex-podkit.pageEnv" -}}
{{ include "codex-podkit.authEnv" . }}
- name: ACCOUNTS_LISTEN
  value: ":9095"
# Names that could belong to someone else outside: the Service's with its namespace, and those of an Ingress.
- name: ACCOUNTS_HOSTS
  value: {{ prepend .Values.litellm.accountsPage.hosts (printf "litellm-accounts.%s" .Release.Namespace) | join "," | quote }}
{{ include "codex-podkit.commands" . }}
{{- end }}

{{/* What to put before a command so that it runs in the right container; nothing if no container has the program. */}}
{{- define "codex-podkit.commands" -}}
{{- $kubectl := printf "kubectl -n %s" .Release.Namespace -}}
{{- with .Values.litellm -}}
- name: ACCOUNTS_EXEC
  value: {{ ternary (printf "%s exec -it deploy/litellm -c codex-cli --" $kubectl) "" .codexCli.enabled | quote }}
- name: ACCOUNTS_ROTATE
  {{- if not .codexAuthRotator.enabled }}
  value: rotate-once
  {{- else if eq .codexAuthRotator.mode "cronjob" }}
  # Two $, because Kubernetes expands $(…).
  value: {{ $kubectl }} create job --from=cronjob/litellm-rotator "rotate-once-$$(date +%s)"
  {{- else }}
  value: {{ $kubectl }} exec deploy/litellm -c rotator -- rotate-once
  {{- end }}
{{- end }}
{{- end }}
