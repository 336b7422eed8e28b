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
  - name: ACCOUNTS_EXEC
    value: kubectl -n {{ $.Release.Namespace }} exec -it deploy/litellm -c {container} --
  {{- with .extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $.Values.litellm.chatgptAuth.tokensSecret }}
# As the rotator has them, or the page would miss the accounts that they are.
envFrom:
  - secretRef:
      name: {{ . }}
      optional: true
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
