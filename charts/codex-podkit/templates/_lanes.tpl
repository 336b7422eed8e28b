{{/* LiteLLM's configuration with a deployment of each model for each lane, given (dict "config" the text of one without
"lanes" how many). A conversation stays with the deployment that it began with. */}}
{{- define "codex-podkit.withLanes" -}}
{{- $lanes := int .lanes -}}
{{- $config := fromYaml .config -}}
{{- $deployments := list -}}
{{- range $model := $config.model_list -}}
{{- if and (hasPrefix "chatgpt/" $model.litellm_params.model) (not $model.litellm_params.chatgpt_auth_file) -}}
{{- range $lane := untilStep 1 (int (add1 $lanes)) 1 -}}
{{- $params := dict "chatgpt_auth_file" (printf "/chatgpt-live/lane-%d.json" $lane) -}}
{{- $info := dict "id" (printf "lane-%d-%s" $lane $model.model_name) -}}
{{- $deployments = append $deployments (mergeOverwrite (deepCopy $model) (dict "litellm_params" $params "model_info" $info)) -}}
{{- end -}}
{{- else -}}
{{- $deployments = append $deployments $model -}}
{{- end -}}
{{- end -}}
{{- $settings := $config.router_settings | default dict -}}
{{- $checks := append ($settings.optional_pre_call_checks | default list) "session_affinity" | uniq -}}
{{- $_ := set $settings "optional_pre_call_checks" $checks -}}
{{- toYaml (set (set $config "router_settings" $settings) "model_list" $deployments) -}}
{{- end }}

{{/* Why several lanes cannot work; empty if they can. Of a tag that is no version nothing is known. */}}
{{- define "codex-podkit.lanesImpossible" -}}
{{- with .Values.litellm -}}
{{- if and (gt (int .lanes) 1) (include "codex-podkit.readsOneRecord" .image.tag) }}
litellm.lanes: {{ .lanes }} needs LiteLLM 1.109 or later, as {{ .image.tag }} reads one record for all deployments: set litellm.image.tag
{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether LiteLLM of this tag is too old to read a record for each deployment; empty if not, or if nothing is known. */}}
{{- define "codex-podkit.readsOneRecord" -}}
{{- $numbers := regexFind "^v?[0-9]+\\.[0-9]+" (toString .) | trimPrefix "v" | splitList "." -}}
{{- if gt (len $numbers) 1 -}}
{{- if or (lt (int (first $numbers)) 1) (and (eq (int (first $numbers)) 1) (lt (int (last $numbers)) 109)) -}}
true
{{- end -}}
{{- end -}}
{{- end }}
