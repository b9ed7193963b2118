/**
 * Sends an email when ECS gives up a deployment: the deploy command only informs the person who
 * runs it.
 */
export function notifyFailedDeployments(
  topic: aws.sns.Topic,
  services: Readonly<Record<string, sst.aws.Service>>,
): void {
  const arns = $util.all(Object.values(services).map(({ nodes }) => nodes.service.id));
  const rule = new aws.cloudwatch.EventRule("FailedDeployment", {
    description: `Deployments of ${$app.name} ${$app.stage} that failed`,
    eventPattern: arns.apply((resources) =>
      JSON.stringify({
        source: ["aws.ecs"],
        "detail-type": ["ECS Deployment State Change"],
        resources,
        detail: { eventName: ["SERVICE_DEPLOYMENT_FAILED"] },
      }),
    ),
  });
  new aws.cloudwatch.EventTarget("FailedDeploymentMail", {
    rule: rule.name,
    arn: topic.arn,
    inputTransformer: {
      inputPaths: { service: "$.resources[0]", reason: "$.detail.reason" },
      inputTemplate: `"${$app.name} ${$app.stage}: a deployment of <service> failed. <reason>"`,
    },
  });
  // This policy replaces the topic's default one, which allows the account's own alarms to publish.
  const { accountId } = aws.getCallerIdentityOutput();
  new aws.sns.TopicPolicy("AlarmsPolicy", {
    arn: topic.arn,
    policy: aws.iam.getPolicyDocumentOutput({
      statements: [
        {
          actions: ["sns:Publish"],
          resources: [topic.arn],
          principals: [{ type: "Service", identifiers: ["cloudwatch.amazonaws.com"] }],
          conditions: [
            { test: "StringEquals", variable: "aws:SourceAccount", values: [accountId] },
          ],
        },
        // Without a condition: AWS does not document that EventBridge passes its rule to topics.
        {
          actions: ["sns:Publish"],
          resources: [topic.arn],
          principals: [{ type: "Service", identifiers: ["events.amazonaws.com"] }],
        },
      ],
    }).json,
  });
}
