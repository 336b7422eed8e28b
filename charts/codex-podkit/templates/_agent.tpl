{{/* An agent's pod, given (dict "root" $ "name" "…" "agent" … "who" …). */}}
{{- define "codex-podkit.agentPod" -}}
{{- $agent := .agent -}}
{{- $claim := $agent.persistence.existingClaim | default (ternary (printf "agent-%s-home" .name) "" $agent.persistence.enabled) -}}
{{- /* Each kind of volume has its name, as that of the logins. */ -}}
{{- $home := ternary "home" "home-unsaved" (ne $claim "") -}}
metadata:
  {{- include "codex-podkit.metadata" (merge (dict "pod" true "labels" $agent.podLabels "annotations" $agent.podAnnotations) .who) | nindent 2 }}
spec:
  {{- include "codex-podkit.pod" (dict "root" .root "of" $agent) | nindent 2 }}
  {{- if eq $agent.kind "Job" }}
  restartPolicy: Never
  {{- end }}
  {{- with $agent.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: agent
      image: {{ include "codex-podkit.image" (dict "root" .root "image" $agent.image "ours" true) }}
      imagePullPolicy: {{ $agent.image.pullPolicy }}
      # The entrypoint passes what is before -- to seed-codex-config, and then becomes the command after it.
      args:
        {{- range $key, $value := $agent.config }}
        {{- if not (kindIs "invalid" $value) }}
        - --set
        - {{ printf "%s=%s" $key (include "codex-podkit.toml" $value) | quote }}
        {{- end }}
        {{- end }}
        - --
        {{- toYaml $agent.command | nindent 8 }}
      env:
        {{- include "codex-podkit.env" (concat (include "codex-podkit.agentEnv" . | fromYamlArray) $agent.extraEnv) | nindent 8 }}
      {{- with $agent.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $agent.resources | nindent 8 }}
      securityContext:
        {{- include "codex-podkit.securityContext" $agent.securityContext | nindent 8 }}
      volumeMounts:
        - name: {{ $home }}
          mountPath: /home/agent
        - name: tmp
          mountPath: /tmp
        {{- with include "codex-podkit.caMount" .root }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $agent.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: {{ $home }}
      {{- if $claim }}
      persistentVolumeClaim:
        claimName: {{ $claim }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    - name: tmp
      emptyDir: {}
    {{- with include "codex-podkit.caVolume" .root }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $agent.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* An agent's variables, given the same. */}}
{{- define "codex-podkit.agentEnv" -}}
{{- with .agent -}}
- name: LITELLM_BASE_URL
  value: {{ .baseUrl | default (printf "http://litellm:%v/v1" $.root.Values.litellm.service.port) | quote }}
- name: LITELLM_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .keySecret.name | default (printf "agent-%s-litellm-key" $.name) }}
      key: {{ .keySecret.key }}
      optional: true
{{- with .model }}
- name: CODEX_MODEL
  value: {{ . | quote }}
{{- end }}
- name: GIT_PAT
  valueFrom:
    secretKeyRef:
      name: {{ .git.secret.name }}
      key: {{ .git.secret.key }}
      optional: true
- name: GIT_HOST
  value: {{ .git.host | quote }}
- name: GIT_USERNAME
  value: {{ .git.username | quote }}
{{- include "codex-podkit.caEnv" (dict "root" $.root "names" (list "SSL_CERT_FILE" "GIT_SSL_CAINFO" "NODE_EXTRA_CA_CERTS" "REQUESTS_CA_BUNDLE")) }}
{{- end }}
{{- end }}

{{/* A value as TOML: a map becomes an inline table. A null in a map is left out, as TOML has none. */}}
{{- define "codex-podkit.toml" -}}
{{- if kindIs "map" . -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $pairs = append $pairs (printf "%s = %s" (toJson $key) (include "codex-podkit.toml" $value)) -}}
{{- end -}}
{{- end -}}
{ {{- join ", " $pairs -}} }
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . }}{{ $items = append $items (include "codex-podkit.toml" .) }}{{ end -}}
[ {{- join ", " $items -}} ]
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end }}
