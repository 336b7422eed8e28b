{{/* Refuses values that cannot work before anything is installed: a line for each. Types, misspelt names and nulls are
refused by values.schema.json before. */}}
{{- define "codex-podkit.check" -}}
{{- with list (include "codex-podkit.malformed" .) (include "codex-podkit.impossible" .) | join "\n" | trim -}}
{{- fail (regexReplaceAll "\n+" . "\n" | printf "\n%s") -}}
{{- end -}}
{{- end }}

{{/* What form a text among the values must have, and which values those are. An empty text is none. */}}
{{- define "codex-podkit.forms" -}}
- form: ^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$
  is: not a name in Kubernetes, which has lower-case letters, digits, - and . only
  values:
    - caBundle.configMap
    - litellm.keysSecret
    - litellm.agentKeys.secret
    - litellm.chatgptAuth.persistence.existingClaim
    - litellm.chatgptAuth.persistence.storageClass
    - litellm.chatgptAuth.tokensSecret
    - litellm.codexAuthRotator.eventWebhookSecret.name
    - litellm.ingress.className
    - litellm.serviceAccountName
    - litellm.priorityClassName
    - litellm.runtimeClassName
  agent:
    - keySecret.name
    - git.secret.name
    - persistence.existingClaim
    - persistence.storageClass
    - serviceAccountName
    - priorityClassName
    - runtimeClassName
- form: ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?$
  is: not the name of an image or a registry, which is a host and a path without https://, as in registry.example.com/team
  values:
    - imageRegistry
    - litellm.image.repository
    - litellm.codexCli.image.repository
    - litellm.codexAuthRotator.image.repository
    - litellm.accountsPage.image.repository
    - litellm.replication.image.repository
  agent:
    - image.repository
- form: ^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64})$
  is: not a tag, such as 1.2.3, nor a digest, such as sha256:…
  values:
    - litellm.image.tag
    - litellm.codexCli.image.tag
    - litellm.codexAuthRotator.image.tag
    - litellm.accountsPage.image.tag
    - litellm.replication.image.tag
  agent:
    - image.tag
- form: ^([0-9]+[smhd])+$|^[0-9]+$
  is: 'not a duration: write 30m, 1h30m, 90s or plain seconds'
  values:
    - litellm.codexAuthRotator.interval
    - litellm.codexAuthRotator.usagePoll
- form: ^([0-9]+(ms|s|m|h))+$
  is: 'not a duration: write 30s or 1m'
  values:
    - litellm.accountsPage.serviceMonitor.interval
- form: ^\s*(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|([0-9A-Za-z*/,-]+\s+){4}[0-9A-Za-z*/,-]+)\s*$
  is: 'not a schedule of a CronJob: write five fields, as in "*/10 * * * *"'
  values:
    - litellm.codexAuthRotator.schedule
- form: ^[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?$
  is: 'not a size: write 1Gi'
  values:
    - litellm.chatgptAuth.persistence.size
  agent:
    - persistence.size
- form: ^https?://[^/?#\s:]\S*$
  is: not the URL of a LiteLLM, such as http://litellm:4000/v1
  agent:
    - baseUrl
- form: ^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$
  is: 'not the name of a host: write it without https:// and without a path'
  values:
    - litellm.accountsPage.hosts
    - litellm.ingress.hosts
    - litellm.httpRoute.hostnames
  agent:
    - git.host
{{- end }}

{{/* A line for each text that has not its form. */}}
{{- define "codex-podkit.malformed" -}}
{{- range include "codex-podkit.forms" . | fromYamlArray -}}
{{- $form := . -}}
{{- range .values -}}
{{- include "codex-podkit.malformedIn" (dict "form" $form "in" $.Values "path" . "at" .) -}}
{{- end -}}
{{- range $path := .agent -}}
{{- include "codex-podkit.malformedIn" (dict "form" $form "in" $.Values.agentDefaults "path" $path "at" (printf "agentDefaults.%s" $path)) -}}
{{- range $name, $agent := $.Values.agents -}}
{{- include "codex-podkit.malformedIn" (dict "form" $form "in" ($agent | default dict) "path" $path "at" (printf "agents.%s.%s" $name $path)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The same of one value, or of each in a list, given (dict "form" … "in" a part of the values "path" "…" "at" "…"). */}}
{{- define "codex-podkit.malformedIn" -}}
{{- $value := .in -}}
{{- range splitList "." .path -}}
{{- $value = get ($value | default dict) . -}}
{{- end -}}
{{- range kindIs "slice" $value | ternary $value (list $value) -}}
{{- $text := kindIs "invalid" . | ternary "" (include "codex-podkit.text" .) -}}
{{- if and $text (not (regexMatch $.form.form $text)) }}
{{ $.at }}: {{ $text | quote }} is {{ $.form.is }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What cannot work although each value is well-formed. */}}
{{- define "codex-podkit.impossible" -}}
{{- range tuple "commonLabels" .Values.commonLabels "litellm.podLabels" .Values.litellm.podLabels "agentDefaults.podLabels" .Values.agentDefaults.podLabels | chunk 2 -}}
{{- include "codex-podkit.ofSelector" (dict "at" (first .) "labels" (last .)) -}}
{{- end -}}
{{- include "codex-podkit.lanesImpossible" . -}}
{{- include "codex-podkit.manyImpossible" . -}}
{{- with .Values.litellm -}}
{{- with .codexAuthRotator -}}
{{- $interval := include "codex-podkit.seconds" .interval | int64 -}}
{{- if or (lt $interval 1) (gt $interval 315576000) }}
litellm.codexAuthRotator.interval: the rotator runs at least once in ten years and at most once in a second, as in 30m
{{- end -}}
{{- if and .usagePoll (lt (include "codex-podkit.seconds" .usagePoll | int64) 300) }}
litellm.codexAuthRotator.usagePoll: the provider is asked at most every 5m
{{- end -}}
{{- end -}}
{{- if and .enabled .codexAuthRotator.enabled (eq .codexAuthRotator.mode "cronjob") -}}
{{- if not (include "codex-podkit.loginsClaim" $) }}
litellm.codexAuthRotator.mode: cronjob needs litellm.chatgptAuth.persistence.enabled: true, as its pod shares nothing else with LiteLLM
{{- else if and (not .chatgptAuth.persistence.existingClaim) (eq .chatgptAuth.persistence.accessMode "ReadWriteOncePod") }}
litellm.codexAuthRotator.mode: cronjob needs litellm.chatgptAuth.persistence.accessMode: ReadWriteOnce, as two pods have the claim
{{- end -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.hosts) }}
litellm.ingress.hosts needs a name, as in [litellm.example.com]
{{- end -}}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
litellm.httpRoute.parentRefs needs a Gateway, as in [{name: gateway}]
{{- end -}}
{{- with .accountsPage -}}
{{- if and (or .serviceMonitor.enabled .prometheusRule.enabled .grafanaDashboard.enabled) (not (and $.Values.litellm.enabled .enabled)) }}
litellm.accountsPage.serviceMonitor, prometheusRule and grafanaDashboard need litellm.accountsPage.enabled: true, which makes the metrics
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $given := .Values.agents -}}
{{- $agent := $given | default dict -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$" $name) }}
agents.{{ $name }}: an agent's name has at most 50 lower-case letters, digits and -
{{- end -}}
{{- include "codex-podkit.ofSelector" (dict "at" (printf "agents.%s.podLabels" $name) "labels" $agent.podLabels) -}}
{{- if not (or $.Values.litellm.enabled $.Values.agentDefaults.baseUrl $agent.baseUrl) }}
agents.{{ $name }}.baseUrl is needed where litellm.enabled is false: the URL of your LiteLLM, such as http://litellm:4000/v1
{{- end -}}
{{- end -}}
{{- end }}

{{/* A line for each label by which the chart selects its pods, given (dict "at" "…" "labels" …). */}}
{{- define "codex-podkit.ofSelector" -}}
{{- range $label, $_ := .labels -}}
{{- if has $label (list "app" "app.kubernetes.io/instance" "app.kubernetes.io/component") }}
{{ $.at }}: {{ $label }} is a label by which the chart's pods are found, and cannot be set
{{- end -}}
{{- end -}}
{{- end }}

{{/* A duration in seconds. */}}
{{- define "codex-podkit.seconds" -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[smhd]?" (include "codex-podkit.text" .) -1 -}}
{{- $unit := regexFind "[smhd]?$" . | default "s" -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (dict "s" 1 "m" 60 "h" 3600 "d" 86400 | dig $unit 1)) -}}
{{- end -}}
{{- $sum -}}
{{- end }}
