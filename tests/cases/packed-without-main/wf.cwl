cwlVersion: v1.2
$namespaces: {s: "https://schema.org/"}
s:softwareVersion: 1.0.0
$graph:
- class: Workflow
  id: water-bodies
  label: Water bodies by a threshold
  requirements: {ScatterFeatureRequirement: {}}
  inputs:
    aoi: {label: area of interest, type: string}
    bands: {type: "string[]", default: [green, nir]}
    item: {label: STAC item, type: Directory}
  outputs:
  - {id: stac_catalog, outputSource: [node_stac/stac_catalog], type: Directory}
  steps:
    node_crop:
      run: "#crop"
      in: {item: item, aoi: aoi, band: bands}
      out: [cropped]
      scatter: band
      scatterMethod: dotproduct
    node_stac:
      run: "#stac"
      in: {item: item, rasters: {source: node_crop/cropped}}
      out: [stac_catalog]
- class: CommandLineTool
  id: crop
  requirements:
    NetworkAccess: {networkAccess: true}
    EnvVarRequirement: {envDef: {PYTHONPATH: /app}}
    ResourceRequirement: {coresMax: 1, ramMax: 512}
  hints: {DockerRequirement: {dockerPull: "localhost/crop:latest"}}
  baseCommand: [sh, -c, 'cat "$0"/item.json > "crop_$2.tif"; echo "$1 $PYTHONPATH" >> "crop_$2.tif"']
  inputs:
    item: {type: Directory, inputBinding: {position: 1}}
    aoi: {type: string, inputBinding: {position: 2}}
    band: {type: string, inputBinding: {position: 3}}
  outputs:
    cropped: {type: File, outputBinding: {glob: '*.tif'}}
- class: CommandLineTool
  id: stac
  baseCommand: [sh, -c, 'mkdir catalog; cp "$@" catalog/; ls catalog > catalog/catalog.json', stac]
  inputs:
    item: Directory
    rasters: {type: "File[]", inputBinding: {}}
  outputs:
    stac_catalog: {type: Directory, outputBinding: {glob: catalog}}
