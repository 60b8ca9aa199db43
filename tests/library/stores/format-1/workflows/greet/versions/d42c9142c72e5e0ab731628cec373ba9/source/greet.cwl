#!/usr/bin/env cwl-runner
cwlVersion: v1.2
class: Workflow
label: Greet several people
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
  StepInputExpressionRequirement: {}
  InlineJavascriptRequirement: {}
  MultipleInputFeatureRequirement: {}
inputs:
  names: string[]
  loud: boolean?
  greeting: {type: string, default: Hello}
outputs:
  cards: {type: 'File[]', outputSource: greet/card}
  total: {type: int, outputSource: tally/total}
  shouted: {type: string?, outputSource: shout/text}
steps:
  greet:
    run: card.cwl
    scatter: name
    in: {name: names, greeting: greeting}
    out: [card]
  tally:
    run: tally.cwl
    in: {cards: greet/card}
    out: [total]
  shout:
    run:
      class: ExpressionTool
      inputs: {text: string}
      outputs: {text: string}
      expression: '${ return {text: inputs.text.toUpperCase()}; }'
    when: $(inputs.loud === true)
    in:
      loud: loud
      text: {source: greeting, valueFrom: $(self + "!")}
    out: [text]
