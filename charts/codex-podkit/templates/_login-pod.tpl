{{/* Whether LiteLLM has several pods, so that the logins are in a pod of their own; empty if not. */}}
{{- define "codex-podkit.many" -}}
{{- with .Values.litellm -}}
{{- if and .enabled (or (gt (int .replicas) 1) .autoscaling.enabled) -}}
true
{{- end -}}
{{- end -}}
{{- end }}

{{/* The pod with the logins, as kubectl exec takes it, and the label by which it is selected. */}}
{{- define "codex-podkit.loginPod" -}}
{{- ternary "sts/codex-accounts" "deploy/litellm" (eq (include "codex-podkit.many" .) "true") -}}
{{- end }}
{{- define "codex-podkit.loginApp" -}}
{{- ternary "codex-accounts" "litellm" (eq (include "codex-podkit.many" .) "true") -}}
{{- end }}

{{/* The init container of the pod with the logins. */}}
{{- define "codex-podkit.publishedRecord" -}}
# LiteLLM must find a well-formed auth.json when it starts. Programs that keep running are not init containers,
# because the pod would wait for their end.
- name: published-record
  command: [rotate-once, --init]
  {{- include "codex-podkit.rotateOnce" . | nindent 2 }}
{{- end }}

{{/* The containers that own the logins, and the page. */}}
{{- define "codex-podkit.loginContainers" -}}
{{- with .Values.litellm -}}
{{- if .codexCli.enabled }}
- name: codex-cli
  image: {{ include "codex-podkit.image" (dict "root" $ "image" .codexCli.image "ours" true) }}
  imagePullPolicy: {{ .codexCli.image.pullPolicy }}
  env:
    {{- include "codex-podkit.env" (concat (include "codex-podkit.authEnv" $ | fromYamlArray) .codexCli.extraEnv) | nindent 4 }}
  {{- with include "codex-podkit.tokens" $ }}
  {{- . | nindent 2 }}
  {{- end }}
  resources:
    {{- toYaml .codexCli.resources | nindent 4 }}
  securityContext:
    {{- include "codex-podkit.securityContext" dict | nindent 4 }}
  volumeMounts:
    {{- include "codex-podkit.authMounts" $ | nindent 4 }}
    - name: login
      mountPath: /tmp
{{- end }}
{{- if and .codexAuthRotator.enabled (eq .codexAuthRotator.mode "sidecar") }}
- name: rotator
  args: [--wake-on, /chatgpt-live/rotate-now, --, rotate-once]
  {{- include "codex-podkit.rotateOnce" $ | nindent 2 }}
{{- end }}
{{- if .accountsPage.enabled }}
- {{- include "codex-podkit.accountsDigest" $ | nindent 2 }}
- {{- include "codex-podkit.accountsPage" $ | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The volumes that only they have. */}}
{{- define "codex-podkit.loginVolumes" -}}
{{- with .Values.litellm -}}
{{- if .accountsPage.enabled }}
# What the page shows, without a token.
- name: accounts-digest
  emptyDir:
    medium: Memory
    sizeLimit: 32Mi
{{- end }}
{{- if .codexCli.enabled }}
# The private directory of a login is in memory, and removed when it ends.
- name: login
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- end }}
{{- end }}
{{- end }}

{{/* The records of the lanes, as LiteLLM's replicas have them: as lane-follower writes them, or as the kubelet mounts them,
which lets no pod start until all are there. */}}
{{- define "codex-podkit.lanesVolume" -}}
{{- if include "codex-podkit.followed" . -}}
{{ include "codex-podkit.liveVolume" . }}
{{ include "codex-podkit.apiToken" . }}
{{- else -}}
- name: codex-lanes
  secret:
    secretName: codex-lanes
    # Not 0440: before 1.27 a kubelet puts a new record in its place a moment before it gives it to the pod's group.
    defaultMode: 0444
    items:
      - {key: lane-1.json, path: auth.json}
      {{- range $lane := untilStep 1 (int (add1 .Values.litellm.lanes)) 1 }}
      - {key: lane-{{ $lane }}.json, path: lane-{{ $lane }}.json}
      {{- end }}
{{- end }}
{{- end }}

{{/* Why several replicas cannot work; empty if they can. */}}
{{- define "codex-podkit.manyImpossible" -}}
{{- if include "codex-podkit.many" . -}}
{{- with .Values.litellm -}}
{{- $at := ternary "litellm.autoscaling.enabled" (printf "litellm.replicas: %v" .replicas) .autoscaling.enabled -}}
{{- if not (include "codex-podkit.loginsClaim" $) }}
{{ $at }} needs litellm.chatgptAuth.persistence.enabled: true, as the logins would be lost whenever their pod moves
{{- end -}}
{{- if include "codex-podkit.readsOneRecord" .image.tag }}
{{ $at }} needs LiteLLM 1.109 or later, as {{ .image.tag }} reads one record for all deployments: set litellm.image.tag
{{- end -}}
{{- if and (eq (int .lanes) 1) (not .replicasShareOneLane) }}
{{ $at }} with litellm.lanes: 1 has all replicas on one account: set litellm.lanes, or litellm.replicasShareOneLane: true if that is meant
{{- end -}}
{{- if not (and .codexAuthRotator.enabled (eq .codexAuthRotator.mode "sidecar")) }}
{{ $at }} needs litellm.codexAuthRotator with mode: sidecar, which is woken by the signals of the replicas
{{- end -}}
{{- if and .autoscaling.enabled (lt (int .autoscaling.maxReplicas) (int .replicas)) }}
litellm.autoscaling.maxReplicas is below litellm.replicas, with which the HorizontalPodAutoscaler begins
{{- end -}}
{{- end -}}
{{- else if and .Values.litellm.enabled .Values.litellm.follower.enabled }}
litellm.follower.enabled needs several replicas, as one pod has its records at once: set litellm.replicas
{{- end -}}
{{- end }}
