cwlVersion: v1.0
class: Workflow
requirements: {InlineJavascriptRequirement: {}}
inputs: {cards: 'File[]'}
outputs: {total: {type: int, outputSource: count/total}}
steps:
  count:
    run:
      class: ExpressionTool
      inputs: {cards: 'File[]'}
      outputs: {total: int}
      expression: '${ return {total: inputs.cards.length}; }'
    in: {cards: cards}
    out: [total]
