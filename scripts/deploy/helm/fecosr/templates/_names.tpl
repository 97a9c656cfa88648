{{- define "fecosr.labels" -}}
app.kubernetes.io/name: fecosr
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.role }}
{{- end }}

{{- define "fecosr.image" -}}
{{ .Values.image.repository | default (printf "fecosr-%s" .Values.role) }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
