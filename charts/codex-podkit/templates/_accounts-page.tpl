{{/* The container that looks at the logins for the page, each minute and whenever the state changes. It changes nothing, sends
no request and answers nobody. */}}
{{- define "codex-podkit.accountsDigest" -}}
{{- with .Values.litellm -}}
name: accounts-digest
image: {{ include "codex-podkit.image" (dict "root" $ "image" .codexAuthRotator.image "ours" true) }}
imagePullPolicy: {{ .codexAuthRotator.image.pullPolicy }}
args:
  {{- $show := ternary (list "--show-identity") list .accountsPage.showIdentity }}
  {{- range concat (list "--every" "1m" "--wake-on" "/chatgpt-auth/rotator_state.json" "--" "rotate-once" "--digest" "/accounts-digest") $show }}
  - {{ . }}
  {{- end }}
env:
  {{- include "codex-podkit.env" (include "codex-podkit.authEnv" $ | fromYamlArray) | nindent 2 }}
{{- with include "codex-podkit.tokens" $ }}
{{ . }}
{{- end }}
resources:
  {{- toYaml .accountsPage.resources | nindent 2 }}
securityContext:
  {{- include "codex-podkit.securityContext" dict | nindent 2 }}
volumeMounts:
  - name: {{ include "codex-podkit.loginsVolume" $ }}
    mountPath: /chatgpt-auth
    readOnly: true
  {{- range include "codex-podkit.liveMount" $ | fromYamlArray }}
  - {{- toYaml (merge (dict "readOnly" true) .) | nindent 4 }}
  {{- end }}
  - name: accounts-digest
    mountPath: /accounts-digest
  {{- with include "codex-podkit.caMount" $ }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The container of the accounts' page. It is the only one that answers strangers, so it mounts the digest and nothing else. */}}
{{- define "codex-podkit.accountsPage" -}}
{{- with .Values.litellm.accountsPage -}}
name: accounts-page
image: {{ include "codex-podkit.image" (dict "root" $ "image" .image "ours" true) }}
imagePullPolicy: {{ .image.pullPolicy }}
ports:
  - name: accounts
    containerPort: 9095
env:
  {{- include "codex-podkit.env" (concat (include "codex-podkit.pageEnv" $ | fromYamlArray) .extraEnv) | nindent 2 }}
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
  - name: accounts-digest
    mountPath: /accounts-digest
    readOnly: true
{{- end }}
{{- end }}

{{/* The variables of the page. */}}
{{- define "codex-podkit.pageEnv" -}}
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
  value: {{ ternary (printf "%s exec -it %s -c codex-cli --" $kubectl (include "codex-podkit.loginPod" $)) "" .codexCli.enabled | quote }}
- name: ACCOUNTS_ROTATE
  {{- if not .codexAuthRotator.enabled }}
  value: rotate-once
  {{- else if eq .codexAuthRotator.mode "cronjob" }}
  # Two $, because Kubernetes expands $(…).
  value: {{ $kubectl }} create job --from=cronjob/litellm-rotator "rotate-once-$$(date +%s)"
  {{- else }}
  value: {{ $kubectl }} exec {{ include "codex-podkit.loginPod" $ }} -c rotator -- rotate-once
  {{- end }}
{{- end }}
{{- end }}
