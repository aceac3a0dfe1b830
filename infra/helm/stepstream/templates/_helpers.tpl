{{/* What the pods of a component are called: of a chart installed as "shop", shop-coordinator and shop-worker-<name>. */}}
{{- define "stepstream.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "stepstream.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: stepstream
{{- end }}

{{/* Takes a dict: root, component. */}}
{{- define "stepstream.selector" -}}
app.kubernetes.io/name: stepstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "stepstream.image" -}}
{{- $image := .Values.image -}}
{{- required "image.repository: the image with your modules in it (docs/guides/containers.md)" $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag }}{{ end }}
{{- end }}

{{/* What of a role counts: its own auth, else that of all. Takes a dict: root, auth. Gives YAML. */}}
{{- define "stepstream.auth" -}}
{{- $auth := .auth | default dict -}}
{{- if not $auth.type }}{{ $auth = .root.Values.nats.auth }}{{ end -}}
{{- if not (has $auth.type (list "none" "user" "token" "creds" "nkey")) -}}
{{- fail (printf "auth.type is none, user, token, creds or nkey, not %q" $auth.type) -}}
{{- end -}}
{{- if and (ne $auth.type "none") (not $auth.secret) -}}
{{- fail (printf "auth.secret: the Secret for auth.type %s" $auth.type) -}}
{{- end -}}
{{- toYaml $auth -}}
{{- end }}

{{/* Where to connect, and as whom. Takes a dict: root, auth. */}}
{{- define "stepstream.connectionEnv" -}}
{{- $auth := include "stepstream.auth" . | fromYaml -}}
{{- $tls := .root.Values.nats.tls -}}
- name: NATS_URL
  value: {{ required "nats.url" .root.Values.nats.url | quote }}
- name: STEPSTREAM_NAMESPACE
  value: {{ .root.Values.namespace.name | quote }}
{{- if eq $auth.type "user" }}
- name: NATS_USER
  valueFrom: { secretKeyRef: { name: {{ $auth.secret }}, key: user } }
- name: NATS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ $auth.secret }}, key: password } }
{{- else if eq $auth.type "token" }}
- name: NATS_TOKEN
  valueFrom: { secretKeyRef: { name: {{ $auth.secret }}, key: token } }
{{- else if eq $auth.type "creds" }}
- name: NATS_CREDS
  value: /etc/stepstream/auth/user.creds
{{- else if eq $auth.type "nkey" }}
- name: NATS_NKEY
  value: /etc/stepstream/auth/user.nk
{{- end }}
{{- with $auth.inboxPrefix }}
- name: NATS_INBOX_PREFIX
  value: {{ . | quote }}
{{- end }}
{{- if $tls.secret }}
- name: NATS_CA
  value: /etc/stepstream/tls/ca.crt
{{- if $tls.clientCertificate }}
- name: NATS_CERT
  value: /etc/stepstream/tls/tls.crt
- name: NATS_KEY
  value: /etc/stepstream/tls/tls.key
{{- end }}
{{- end }}
{{- end }}

{{/* The files that connectionEnv names; folders, not single files, so that a changed Secret reaches the pod. */}}
{{- define "stepstream.volumes" -}}
{{- $auth := include "stepstream.auth" . | fromYaml -}}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- if has $auth.type (list "creds" "nkey") }}
- name: auth
  secret: { secretName: {{ $auth.secret }}, defaultMode: 0440 }
{{- end }}
{{- with .root.Values.nats.tls.secret }}
- name: tls
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{- define "stepstream.volumeMounts" -}}
{{- $auth := include "stepstream.auth" . | fromYaml -}}
- { name: tmp, mountPath: /tmp }
{{- if has $auth.type (list "creds" "nkey") }}
- { name: auth, mountPath: /etc/stepstream/auth, readOnly: true }
{{- end }}
{{- if .root.Values.nats.tls.secret }}
- { name: tls, mountPath: /etc/stepstream/tls, readOnly: true }
{{- end }}
{{- end }}

{{- define "stepstream.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.runAsUser }}
runAsGroup: {{ .Values.runAsUser }}
fsGroup: {{ .Values.runAsUser }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "stepstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/*
A Deployment and its disruption budget. Takes a dict: root, component, name, command, settings.
*/}}
{{- define "stepstream.deployment" -}}
{{- $root := .root -}}
{{- $settings := .settings -}}
{{- $selector := include "stepstream.selector" . -}}
{{- $scaled := and $settings.autoscaling $settings.autoscaling.enabled -}}
{{- $connection := dict "root" $root "auth" $settings.auth -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- $selector | nindent 4 }}
    {{- include "stepstream.labels" $root | nindent 4 }}
spec:
  {{- if not $scaled }}
  replicas: {{ $settings.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $selector | nindent 8 }}
        {{- include "stepstream.labels" $root | nindent 8 }}
        {{- with $settings.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with $settings.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "stepstream.name" $root }}
      automountServiceAccountToken: false
      # Else a Service called stepstream-metrics would set STEPSTREAM_METRICS_PORT.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $settings.terminationGracePeriodSeconds }}
      {{- with $settings.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "stepstream.podSecurity" $root | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "stepstream.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [{{ .command }}]
          args:
            {{- concat $settings.args $settings.modules | toYaml | nindent 12 }}
          env:
            {{- include "stepstream.connectionEnv" $connection | nindent 12 }}
            - name: STEPSTREAM_HEALTH_PORT
              value: "8080"
            - name: STEPSTREAM_METRICS_PORT
              value: "9464"
            - name: STEPSTREAM_SHUTDOWN_TIMEOUT
              value: "{{ $settings.terminationGracePeriodSeconds }}s"
            - name: STEPSTREAM_LOG_LEVEL
              value: {{ $root.Values.logLevel }}
            {{- with concat $root.Values.env $settings.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with concat $root.Values.envFrom $settings.envFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - { name: health, containerPort: 8080 }
            - { name: metrics, containerPort: 9464 }
          # It does not answer while code blocks the event loop: patient, since a computation is no reason to kill it.
          livenessProbe:
            httpGet: { path: /healthz, port: health }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /readyz, port: health }
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          securityContext:
            {{- include "stepstream.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            {{- include "stepstream.volumeMounts" $connection | nindent 12 }}
            {{- with $settings.volumeMounts }}{{ toYaml . | nindent 12 }}{{ end }}
      volumes:
        {{- include "stepstream.volumes" $connection | nindent 8 }}
        {{- with $settings.volumes }}{{ toYaml . | nindent 8 }}{{ end }}
      topologySpreadConstraints:
        {{- if $settings.topologySpreadConstraints }}
        {{- toYaml $settings.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels:
              {{- $selector | nindent 14 }}
        {{- end }}
        {{- end }}
      {{- with $settings.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- with $settings.podDisruptionBudget }}
{{- if .enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $.name }}
  labels:
    {{- $selector | nindent 4 }}
    {{- include "stepstream.labels" $root | nindent 4 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  # Without nats-server no pod is ready: that is no reason to keep them on a node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
